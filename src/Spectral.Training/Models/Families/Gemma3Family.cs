using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Gemma 3 (Gemma team, "Gemma 3 Technical Report", 2025), its text model: norms of each head's queries and keys, a
/// window in five of six layers, whose rotary angles have a base of their own.
/// </summary>
/// <remarks>transformers ignores a soft cap of the scores in this family, and so is it here, with a warning.</remarks>
internal sealed class Gemma3Family : GemmaSandwichLayout
{
    private const string Pattern = "sliding_window_pattern"; // every layer of that number has no window

    /// <inheritdoc/>
    public override string ModelType => "gemma3_text";

    /// <inheritdoc/>
    public override string Architecture => "Gemma3ForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives { get; } =
        new Dictionary<string, string>
        {
            ["gemma3"] = "images as input",
            ["gemma3n"] = "images and sound as input",
            ["gemma3n_text"] = "layers of its own kind",
            ["paligemma"] = "images as input",
            ["recurrent_gemma"] = "recurrent layers",
        };

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 131072;

    /// <inheritdoc/>
    public override double DefaultRopeTheta => 1e6;

    /// <inheritdoc/>
    public override string SlidingRopeThetaKey => "rope_local_base_freq";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, SlidingRopeThetaKey, Pattern];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        base.Read(fields, config) with
        {
            LogitSoftCap = SoftCapKeys.Read(fields, SoftCapKeys.Logits, 0),
        };

    /// <inheritdoc/>
    protected override (int Query, int Key)? HeadNorms(ModelConfig config) =>
        (config.HeadDimension, config.HeadDimension);

    /// <inheritdoc/>
    protected override bool Slides(JsonFields fields, int layer) =>
        (layer + 1) % (fields.Integer(Pattern, 1, int.MaxValue) ?? 6) != 0;
}
