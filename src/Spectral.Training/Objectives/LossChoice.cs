namespace Spectral.Training.Objectives;

/// <summary>A loss by name, with the settings that only it has. Two choices are equal if both agree.</summary>
/// <param name="Name">The name as on the command line (<see cref="LossMethods.Find"/>).</param>
public sealed record LossChoice(string Name = LossChoice.Default)
{
    /// <summary>The name of the loss that a run minimises unless another is chosen.</summary>
    public const string Default = "cross-entropy";

    /// <summary>The settings that differ from their defaults, by name.</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();

    /// <summary>Compares names and settings.</summary>
    public bool Equals(LossChoice? other) =>
        other is not null
        && Name == other.Name
        && Settings.Count == other.Settings.Count
        && Settings.All(pair => other.Settings.TryGetValue(pair.Key, out double value) && value.Equals(pair.Value));

    /// <summary>Returns a hash of the name and the number of settings.</summary>
    public override int GetHashCode() => HashCode.Combine(Name, Settings.Count);
}
