namespace Spectral.Training.Forgetting;

/// <summary>A parameter of a fitted law with its 95 % confidence interval.</summary>
/// <param name="Name">The name of the parameter in the law's formula.</param>
/// <param name="Value">The estimate by least squares.</param>
/// <param name="StandardError">Its standard error by the linearised model; NaN without degrees of freedom.</param>
/// <param name="Low">The lower end of the interval, by Student's t distribution.</param>
/// <param name="High">The upper end of the interval.</param>
public sealed record FittedParameter(string Name, double Value, double StandardError, double Low, double High);
