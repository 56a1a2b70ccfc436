namespace Spectral.Training.Spectra;

/// <summary>The independence of the entries of the base weight, the tuned weight and their difference.</summary>
public sealed record MatrixIndependence(EntryIndependence Base, EntryIndependence Tuned, EntryIndependence Change);
