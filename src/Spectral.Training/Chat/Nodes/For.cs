using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A loop over the items of a value.</summary>
/// <param name="place">Where it is.</param>
/// <param name="target">What each item is assigned to.</param>
/// <param name="iterable">The value.</param>
/// <param name="condition">Which items count; null: all.</param>
/// <param name="isRecursive">Whether the body may call the loop with another value.</param>
/// <param name="body">What is done with each item.</param>
/// <param name="otherwise">What is done if there is none.</param>
internal sealed class For(
    Place place,
    Target target,
    Expression iterable,
    Expression? condition,
    bool isRecursive,
    Statement[] body,
    Statement[] otherwise
) : Statement
{
    public override Flow Execute(Scope scope)
    {
        object? value = iterable.Evaluate(scope);
        scope.Rendering.At(place);
        Run(scope, value, 0);
        return Flow.Next;
    }

    private void Run(Scope scope, object? value, long depth)
    {
        IEnumerable<object?> items = Sequences.Items(value);
        long? length = condition is null ? Sequences.FindLength(value) : null;
        if (condition is not null)
            items = Chosen(items, scope);
        Func<object?, string>? recurse = isRecursive ? next => Recurse(scope, next, depth + 1) : null;
        LoopValue loop = new(items, length, depth, recurse);
        bool isEmpty = true;
        while (loop.MoveNext())
        {
            isEmpty = false;
            scope.Rendering.Budget.Step();
            Scope inner = scope.Inner();
            inner.Set("loop", loop);
            target.Assign(inner, loop.Current);
            if (Execute(body, inner) == Flow.Break)
                break;
        }
        if (isEmpty)
            Execute(otherwise, scope.Inner());
    }

    private IEnumerable<object?> Chosen(IEnumerable<object?> items, Scope scope)
    {
        foreach (object? item in items)
        {
            scope.Rendering.Budget.Step();
            Scope inner = scope.Inner();
            target.Assign(inner, item);
            if (Sequences.IsTrue(condition!.Evaluate(inner)))
                yield return item;
        }
    }

    private string Recurse(Scope scope, object? value, long depth)
    {
        scope.Rendering.Budget.Enter();
        string text = scope.Rendering.Capture(() => Run(scope, value, depth));
        scope.Rendering.Budget.Leave();
        return text;
    }
}
