using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Divides all angles by a factor (Chen et al., "Extending Context Window of Large Language Models via Positional
/// Interpolation", 2023).
/// </summary>
/// <param name="Factor">The factor by which sequences get longer.</param>
public sealed record LinearScaling(double Factor) : RopeScaling
{
    internal const string Name = "linear";

    /// <inheritdoc/>
    public override string Type => Name;

    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int size, int positions) =>
        Array.ConvertAll(Unscaled(theta, size), frequency => frequency / Factor);

    /// <inheritdoc/>
    public override int Longest(int maxPositions) => Longer(Factor, maxPositions);

    internal override void WriteFields(Utf8JsonWriter json) => json.WriteNumber("factor", Factor);

    internal static LinearScaling ReadFields(JsonFields fields, RopeContext context) => new(ReadFactor(fields));
}
