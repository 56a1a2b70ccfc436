namespace Spectral.Training.Chat.Values;

/// <summary>A function or bound method.</summary>
/// <param name="name">Its name.</param>
/// <param name="body">What it does.</param>
/// <param name="typeName">Python's name of its type.</param>
internal sealed class Function(string name, Func<Arguments, Rendering, object?> body, string typeName = "function")
    : Callable
{
    public override string TypeName => typeName;

    public override string Text => $"<{typeName} {name}>";

    public override object? Call(Arguments arguments, Rendering rendering) => body(arguments, rendering);
}
