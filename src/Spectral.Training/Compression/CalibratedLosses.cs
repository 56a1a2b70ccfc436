namespace Spectral.Training.Compression;

/// <summary>Squared Frobenius norms, of which <see cref="CalibratedErrors"/> are roots of shares.</summary>
/// <param name="Change">That of the change.</param>
/// <param name="Outputs">That of what is lost of the change's outputs.</param>
/// <param name="AllOutputs">That of the change's outputs.</param>
/// <param name="Nearest">That of what rounding to nearest would lose of the change.</param>
/// <param name="NearestOutputs">That of what rounding to nearest would lose of the change's outputs.</param>
internal readonly record struct CalibratedLosses(
    double Change,
    double Outputs,
    double AllOutputs,
    double Nearest,
    double NearestOutputs
)
{
    /// <summary>The errors.</summary>
    public CalibratedErrors Errors =>
        new(
            CompressionRun.Share(Outputs, AllOutputs),
            CompressionRun.Share(Nearest, Change),
            CompressionRun.Share(NearestOutputs, AllOutputs)
        );

    /// <summary>Adds up the norms of two layers, or of several.</summary>
    public static CalibratedLosses operator +(CalibratedLosses one, CalibratedLosses two) =>
        new(
            one.Change + two.Change,
            one.Outputs + two.Outputs,
            one.AllOutputs + two.AllOutputs,
            one.Nearest + two.Nearest,
            one.NearestOutputs + two.NearestOutputs
        );
}
