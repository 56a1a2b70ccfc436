using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A statement of a template.</summary>
internal abstract class Statement
{
    /// <summary>Executes it.</summary>
    /// <returns>How the statements around it go on.</returns>
    /// <exception cref="TemplateError">It fails.</exception>
    public abstract Flow Execute(Scope scope);

    /// <summary>Executes statements one after another.</summary>
    public static Flow Execute(Statement[] body, Scope scope)
    {
        foreach (Statement statement in body)
        {
            scope.Rendering.Budget.Step();
            Flow flow = statement.Execute(scope);
            if (flow != Flow.Next)
                return flow;
        }
        return Flow.Next;
    }
}
