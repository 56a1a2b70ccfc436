namespace Spectral.Cli.Reports;

/// <summary>
/// A point of a curve with a band: the mean of several values at a step, and the smallest and largest of them.
/// </summary>
internal readonly record struct MeanPoint(int Step, double Mean, double Low, double High);
