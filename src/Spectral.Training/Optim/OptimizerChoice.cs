namespace Spectral.Training.Optim;

/// <summary>An optimizer by name, with the settings that only it has. Two choices are equal if both agree.</summary>
/// <param name="Name">The name as on the command line (<see cref="OptimizerMethods.Find"/>).</param>
public sealed record OptimizerChoice(string Name = OptimizerChoice.Default)
{
    /// <summary>The name of the optimizer that trains unless another is chosen.</summary>
    public const string Default = "adamw";

    /// <summary>The settings that differ from their defaults, by name.</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();

    /// <summary>Compares names and settings.</summary>
    public bool Equals(OptimizerChoice? other) =>
        other is not null
        && Name == other.Name
        && Settings.Count == other.Settings.Count
        && Settings.All(pair => other.Settings.TryGetValue(pair.Key, out double value) && value.Equals(pair.Value));

    /// <summary>Returns a hash of the name and the number of settings.</summary>
    public override int GetHashCode() => HashCode.Combine(Name, Settings.Count);
}
