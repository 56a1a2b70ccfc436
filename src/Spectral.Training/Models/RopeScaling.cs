using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>A scaling of rotary angles for sequences longer than those of pretraining.</summary>
public abstract record RopeScaling
{
    private static readonly (string Type, Func<JsonFields, RopeContext, RopeScaling> Read)[] Known =
    [
        (LinearScaling.Name, LinearScaling.ReadFields),
        (DynamicScaling.Name, DynamicScaling.ReadFields),
        (YarnScaling.Name, YarnScaling.ReadFields),
        (LongRopeScaling.Name, LongRopeScaling.ReadFields),
        (Llama3Scaling.Name, Llama3Scaling.ReadFields),
    ];

    /// <summary>The values of <c>rope_type</c> that are supported beside <c>default</c>.</summary>
    internal static IEnumerable<string> Types => Known.Select(each => each.Type);

    /// <summary>The value of <c>rope_type</c> in <c>config.json</c>.</summary>
    public abstract string Type { get; }

    /// <summary>The factor on cosines and sines, by which the scores of attention grow in the square.</summary>
    public virtual double Amplitude => 1;

    /// <summary>
    /// Returns the angle per position, in radians, for each of the pairs of features that turn together.
    /// </summary>
    /// <param name="theta">The base of the unscaled angles: θ^(−2i/d) for pair i.</param>
    /// <param name="size">The number of features that turn, d.</param>
    /// <param name="positions">The length of the sequence.</param>
    public abstract double[] Frequencies(double theta, int size, int positions);

    /// <summary>Returns the length of which <see cref="Frequencies"/> gives the same angles as of this one.</summary>
    public virtual int Representative(int positions) => 1;

    /// <summary>Whether the angles depend on the length of the sequence.</summary>
    internal bool FollowsLength => Representative(1) != Representative(int.MaxValue / 2);

    /// <summary>Returns the longest sequence of a model whose config allows so many positions.</summary>
    public virtual int Longest(int maxPositions) => maxPositions;

    /// <summary>Writes what the object of the config has beside its type.</summary>
    internal abstract void WriteFields(Utf8JsonWriter json);

    /// <summary>Reads <c>rope_scaling</c> or <c>rope_parameters</c>; null if angles are not scaled.</summary>
    /// <param name="fields">The object with the scaling.</param>
    /// <param name="context">What else the config says of rotary angles.</param>
    /// <exception cref="InputException">The scaling is of no known type, or a value of it is impossible.</exception>
    internal static RopeScaling? Read(JsonFields fields, RopeContext context)
    {
        string choices = "default, " + string.Join(", ", Types.SkipLast(1));
        choices += $" or {Types.Last()}";
        string? type = fields.Text("rope_type") ?? fields.Text("type");
        if (fields.Text("type") is { } old && old != type)
            throw fields.Wrong("rope_type", $"{InputText.Quote(old)}, as type says, or one of the two");
        if (type is null)
        {
            string[] scales = ["rope_theta", "partial_rotary_factor"];
            return fields.Element.EnumerateObject().All(property => scales.Contains(property.Name))
                ? null
                : throw fields.Wrong("rope_type", choices);
        }
        if (type == "default")
            return null;
        string kind = context.Family.RopeTypeOf(type);
        foreach ((string name, Func<JsonFields, RopeContext, RopeScaling> read) in Known)
        {
            if (name == kind)
                return read(fields, context);
        }
        throw fields.Wrong(fields.Has("rope_type") ? "rope_type" : "type", $"{choices} (no other is supported)");
    }

    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("rope_type", Type);
        WriteFields(json);
        json.WriteEndObject();
    }

    /// <summary>Returns the unscaled angles θ^(−2i/d).</summary>
    internal static double[] Unscaled(double theta, int size) =>
        [.. Enumerable.Range(0, size / 2).Select(i => Math.Pow(theta, -2.0 * i / size))];

    /// <summary>Returns a length times a factor, within what any config allows.</summary>
    private protected static int Longer(double factor, int length) =>
        (int)Math.Min(factor * length, ModelConfig.MaximumPositions);

    /// <summary>Reads the factor by which sequences get longer.</summary>
    private protected static double ReadFactor(JsonFields fields) =>
        fields.Number("factor", 1, 1e6) ?? throw fields.Wrong("factor", "a number of at least 1");

    /// <summary>Reads the length of the sequences of pretraining, from the scaling or from the config.</summary>
    private protected static int? ReadOriginalMaxPositions(JsonFields fields, RopeContext context) =>
        fields.Integer(OriginalMaxPositionsKey, 1, ModelConfig.MaximumPositions)
        ?? context.Config.Integer(OriginalMaxPositionsKey, 1, ModelConfig.MaximumPositions)
        ?? context.Family.DefaultOriginalMaxPositions;

    /// <summary>The key of the length of the sequences of pretraining.</summary>
    private protected const string OriginalMaxPositionsKey = "original_max_position_embeddings";
}
