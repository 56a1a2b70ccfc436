using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A filter block: prints the text of its body filtered.</summary>
internal sealed class FilterBlock(Expression filter, Statement[] body) : Statement
{
    public override Flow Execute(Scope scope)
    {
        Scope inner = scope.Inner();
        inner.Set(BlockText.Variable, scope.Rendering.Capture(() => Execute(body, inner)));
        object? value = filter.Evaluate(inner);
        scope.Rendering.Write(PythonText.Str(value, scope.Rendering.Budget));
        return Flow.Next;
    }
}

/// <summary>A block that only has a scope of its own: block, autoescape.</summary>
internal sealed class ScopeBlock(Statement[] body) : Statement
{
    public override Flow Execute(Scope scope) => Execute(body, scope.Inner());
}

/// <summary>A generation block: what it prints is what the model is to generate.</summary>
internal sealed class GenerationBlock(Statement[] body) : Statement
{
    public override Flow Execute(Scope scope)
    {
        Scope inner = scope.Inner();
        scope.Rendering.Generate(() => Execute(body, inner));
        return Flow.Next;
    }
}

/// <summary>A statement that needs another template: extends, include, import.</summary>
internal sealed class OtherTemplate(Place place, string tag) : Statement
{
    public override Flow Execute(Scope scope)
    {
        scope.Rendering.At(place);
        throw TemplateError.Type($"{tag}: a chat template has no other templates");
    }
}
