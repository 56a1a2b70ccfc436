using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Raises θ with the length of the sequence once it exceeds that of pretraining, as transformers does under the name of
/// dynamic NTK scaling.
/// </summary>
/// <remarks>
/// All positions of a sequence turn with the angles of its whole length: in generation, of the prompt with the tokens
/// that may follow it.
/// </remarks>
/// <param name="Factor">The factor by which sequences get longer.</param>
/// <param name="MaxPositions">
/// The length of the sequences of pretraining. As in transformers it is <c>max_position_embeddings</c>.
/// </param>
public sealed record DynamicScaling(double Factor, int MaxPositions) : RopeScaling
{
    internal const string Name = "dynamic";

    /// <inheritdoc/>
    public override string Type => Name;

    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int size, int positions)
    {
        double stretch = (Factor * Representative(positions) / MaxPositions) - (Factor - 1);
        return Unscaled(theta * Math.Pow(stretch, size / (size - 2.0)), size);
    }

    /// <inheritdoc/>
    public override int Representative(int positions) => Math.Max(positions, MaxPositions);

    /// <inheritdoc/>
    public override int Longest(int maxPositions) => Longer(Factor, maxPositions);

    internal override void WriteFields(Utf8JsonWriter json) => json.WriteNumber("factor", Factor);

    internal static DynamicScaling ReadFields(JsonFields fields, RopeContext context) =>
        context.Size > 2
            ? new(ReadFactor(fields), context.MaxPositions)
            : throw fields.Wrong("rope_type", "another type, as a head of two features has no dynamic angles");
}
