namespace Spectral.Training.IO;

/// <summary>Reports a safetensors file that breaks a rule of the format.</summary>
public sealed class SafetensorsException(SafetensorsRule rule, string message)
    : InputException($"{message} (rule {rule})")
{
    /// <summary>The rule that is broken.</summary>
    public SafetensorsRule Rule { get; } = rule;
}
