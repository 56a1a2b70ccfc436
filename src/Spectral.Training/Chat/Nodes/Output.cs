using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>Text outside of tags.</summary>
internal sealed class TextOutput(string text) : Statement
{
    public override Flow Execute(Scope scope)
    {
        scope.Rendering.Write(text);
        return Flow.Next;
    }
}

/// <summary>A printed expression.</summary>
internal sealed class ValueOutput(Expression value) : Statement
{
    public override Flow Execute(Scope scope)
    {
        object? result = value.Evaluate(scope);
        scope.Rendering.At(value.Place);
        scope.Rendering.Write(PythonText.Str(result, scope.Rendering.Budget));
        return Flow.Next;
    }
}
