namespace Spectral.Training.Metrics;

/// <summary>A score of an evaluation beside its loss.</summary>
/// <param name="Name">The name, as JSON and logs write it, such as <c>accuracy</c>.</param>
/// <param name="Value">The value; NaN where the records do not define it.</param>
public sealed record MetricValue(string Name, double Value);
