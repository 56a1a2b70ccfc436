namespace Spectral.Training.Settings;

/// <summary>A setting that one method has of its own and whose value is text, such as a folder or a list.</summary>
/// <param name="Name">The name as given to <c>--set</c>, in lower case with hyphens.</param>
/// <param name="Placeholder">What stands for the value in help, such as DIR.</param>
/// <param name="Help">The effect of the setting, for help and docs.</param>
public sealed record TextSetting(string Name, string Placeholder, string Help)
{
    /// <summary>Whether the method cannot run without it.</summary>
    public bool IsRequired { get; init; }
}
