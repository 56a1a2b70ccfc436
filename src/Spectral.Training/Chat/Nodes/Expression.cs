using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>An expression of a template.</summary>
/// <param name="place">Where it is.</param>
internal abstract class Expression(Place place)
{
    /// <summary>The place of the expression in the template.</summary>
    public Place Place { get; } = place;

    /// <summary>Returns the value of the expression.</summary>
    /// <exception cref="TemplateError">It has none.</exception>
    public object? Evaluate(Scope scope)
    {
        Budget.RequireStack();
        scope.Rendering.Budget.Step();
        return Compute(scope);
    }

    /// <summary>Returns its value; the caller counts the step.</summary>
    protected abstract object? Compute(Scope scope);

    /// <summary>Notes that the operation of this expression begins, whose operands are known.</summary>
    protected Budget Begin(Scope scope)
    {
        scope.Rendering.At(Place);
        return scope.Rendering.Budget;
    }
}
