namespace Spectral.Cli.Reports;

/// <summary>A point of a loss curve.</summary>
public readonly record struct LossPoint(int Step, double Loss);
