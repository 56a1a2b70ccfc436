namespace Spectral.Training.Chat.Values;

/// <summary>Something that a template can call.</summary>
internal abstract class Callable
{
    /// <summary>Python's name of the type.</summary>
    public virtual string TypeName => "function";

    /// <summary>Python's text of the value.</summary>
    public abstract string Text { get; }

    /// <summary>Calls the value with arguments.</summary>
    public abstract object? Call(Arguments arguments, Rendering rendering);

    /// <summary>Finds an attribute of the value by its name.</summary>
    public virtual bool TryGet(string name, out object? value)
    {
        value = null;
        return false;
    }
}
