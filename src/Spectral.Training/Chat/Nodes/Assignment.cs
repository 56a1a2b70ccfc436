namespace Spectral.Training.Chat.Nodes;

/// <summary><c>set target = value</c>.</summary>
internal sealed class Assignment(Target target, Expression value) : Statement
{
    public override Flow Execute(Scope scope)
    {
        target.Assign(scope, value.Evaluate(scope));
        return Flow.Next;
    }
}

/// <summary>A set block: assigns the text of its body, filtered if a filter is given.</summary>
internal sealed class BlockAssignment(Target target, Expression? filter, Statement[] body) : Statement
{
    public override Flow Execute(Scope scope)
    {
        Scope inner = scope.Inner();
        object? value = scope.Rendering.Capture(() => Execute(body, inner));
        if (filter is not null)
        {
            Scope outer = scope.Inner();
            outer.Set(BlockText.Variable, value);
            value = filter.Evaluate(outer);
        }
        target.Assign(scope, value);
        return Flow.Next;
    }
}

/// <summary>A with block: names that are known in its body only.</summary>
internal sealed class With(KeyValuePair<Target, Expression>[] values, Statement[] body) : Statement
{
    public override Flow Execute(Scope scope)
    {
        Scope inner = scope.Inner();
        foreach ((Target target, Expression value) in values)
            target.Assign(inner, value.Evaluate(scope));
        return Execute(body, inner);
    }
}
