namespace Spectral.Training.Compression;

/// <summary>One layer whose change is compressed.</summary>
/// <param name="Name">The name of the module.</param>
/// <param name="Outputs">The number of rows of its weight.</param>
/// <param name="Inputs">The number of columns of its weight.</param>
/// <param name="Error">
/// The Frobenius norm of what is lost of its change, relative to that of the change; 0 if there is no change. Rounding
/// of numbers that are stored in a float type is not counted.
/// </param>
/// <param name="Bits">The bits that are stored for its change, per entry of the change as a dense matrix.</param>
public sealed record CompressedLayer(string Name, int Outputs, int Inputs, double Error, double Bits)
{
    /// <summary>What calibration changes; null: the layer is not calibrated.</summary>
    public CalibratedErrors? Calibrated { get; init; }

    /// <summary>The rank of its factors before; null: the change was not given as factors.</summary>
    public int? RankBefore { get; init; }

    /// <summary>The rank of its factors now; null: it is not stored as factors.</summary>
    public int? Rank { get; init; }
}
