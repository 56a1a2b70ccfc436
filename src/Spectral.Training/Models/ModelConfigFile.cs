using System.Text.Json;
using Spectral.Training.IO;
using Spectral.Training.Quantization;

namespace Spectral.Training.Models;

/// <summary>
/// Reads and writes config.json: its keys, their limits and defaults, and the values that are refused.
/// </summary>
internal static class ModelConfigFile
{
    private const string FileName = "config.json";
    private const string TurningKey = "partial_rotary_factor";
    private const long MaximumBytes = 16 << 20;
    private const long MaximumParameters = 1L << 40;
    private const double LargestTheta = 1e12;
    private const double DefaultSlidingTheta = 10000;

    private static readonly string[] CommonKeys =
    [
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "tie_word_embeddings",
        "rope_theta",
        "partial_rotary_factor",
        "rope_scaling",
        "rope_parameters",
        "bos_token_id",
        "eos_token_id",
        "torch_dtype",
        "dtype",
        "initializer_range",
        .. ConfigCopy.QuantizationKeys,
    ];

    public static ModelConfig Load(string directory)
    {
        FolderFile.RequireFolder(directory, $"model folder with {FileName}");
        string path = FolderFile.At(directory, FileName);
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        ModelConfig config = Read(new JsonFields(document.RootElement, path), path);
        string generation = FolderFile.At(directory, "generation_config.json");
        if (!File.Exists(generation))
            return config;
        using JsonDocument generationDocument = StrictJson.ParseFile(generation, MaximumBytes);
        JsonFields fields = new(generationDocument.RootElement, generation);
        return fields.IntegerOrList("eos_token_id", 0, config.VocabularySize - 1) is { Count: > 0 } more
            ? WithMoreEnds(config, more, path, generation)
            : config;
    }

    // Any end token ends generation. The first one of config.json ends records, or the first one of the other file if
    // config.json has none.
    private static ModelConfig WithMoreEnds(ModelConfig config, IReadOnlyList<int> more, string path, string generation)
    {
        if (config.EosTokenIds.Count == 0)
            return config with { EosTokenIds = [.. more.Distinct()], EosSource = Path.GetFileName(generation) };
        int first = config.EosTokenIds[0];
        string[] differs = more.Contains(first)
            ? []
            :
            [
                $"{generation}: eos_token_id is {string.Join(", ", more)}, without {first} of {path}; records end with "
                    + $"{first}, all of them end generation",
            ];
        return config with
        {
            EosTokenIds = [.. config.EosTokenIds.Union(more)],
            Warnings = [.. config.Warnings, .. differs],
        };
    }

    private static ModelConfig Read(JsonFields fields, string path)
    {
        string type = fields.RequiredText("model_type");
        ModelFamily family =
            ModelFamilies.Find(type)
            ?? throw fields.Wrong("model_type", ModelFamilies.ChoicesBeside(type) + TextModel(fields));
        ModelConfigOddities.Refuse(fields);
        List<string> warnings = [.. ModelConfigOddities.Mention(fields, path, family)];
        int hidden = fields.RequiredInteger(Key("hidden_size"), 1, 1 << 18);
        int heads = fields.RequiredInteger(Key("num_attention_heads"), 1, 1 << 12);
        int keyValueHeads = KeyValueHeads(fields, family, heads);
        int headDimension =
            fields.Integer("head_dim", 2, 1 << 12)
            ?? family.DefaultHeadDimension
            ?? HeadDimension(fields, family, hidden, heads);
        if (headDimension % 2 != 0)
            throw fields.Wrong("head_dim", "an even number");
        int vocabulary = fields.RequiredInteger("vocab_size", 1, 1 << 24);
        int layers = fields.RequiredInteger(Key("num_hidden_layers"), 1, 1 << 10);
        int positions =
            fields.Integer(Key("max_position_embeddings"), 1, ModelConfig.MaximumPositions)
            ?? family.DefaultMaxPositions;
        string inner = Key("intermediate_size");
        int? innerByDefault = fields.Has(inner) ? null : family.DefaultIntermediateSize(hidden);
        var rotary = new RopeContext(fields, family, family.DefaultRopeTheta, positions, headDimension);
        JsonFields? rope = NotEmpty(fields, "rope_parameters");
        JsonFields? sliding = null;
        if (family.SlidingRopeThetaKey is not null)
            (rope, sliding) = ByLayerType(rope);
        (double theta, double turning, RopeScaling? scaling) = Rope(rotary, rope, family, path, warnings);
        // Keys of other families are known too, so that they are not carried along in this model's config.
        HashSet<string> known =
        [
            .. CommonKeys,
            .. ModelFamilies.All.SelectMany(each =>
                (IEnumerable<string>)[.. each.Keys, .. each.OwnNames.Values, each.ActivationKey, each.NormEpsilonKey]
            ),
        ];
        ModelConfig common = new()
        {
            ModelType = type,
            VocabularySize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = innerByDefault ?? fields.RequiredInteger(inner, 1, 1 << 20),
            Layers = layers,
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadDimension = headDimension,
            RmsNormEpsilon = fields.Number(family.NormEpsilonKey, 0, 1) ?? family.DefaultNormEpsilon,
            Activation = ActivationNames.Read(fields, family),
            MaxPositions = positions,
            TieWordEmbeddings = fields.Boolean("tie_word_embeddings") ?? family.TiesByDefault,
            RopeTheta = theta,
            PartialRotaryFactor = turning,
            RopeScaling = scaling,
            SlidingRotary = SlidingRotary(rotary, sliding, family),
            BosTokenId = fields.IntegerOrList("bos_token_id", 0, vocabulary - 1) is { Count: > 0 } bos ? bos[0] : null,
            EosTokenIds = fields.IntegerOrList("eos_token_id", 0, vocabulary - 1) ?? [],
            FamilyEosTokenId =
                !fields.IsGiven("eos_token_id") && family.DefaultEosTokenId < vocabulary
                    ? family.DefaultEosTokenId
                    : null,
            Warnings = warnings.ToArray(),
            WeightType = fields.Text("dtype") ?? fields.Text("torch_dtype"),
            Quantization = QuantizationSettings.Read(fields, path),
            InitializerRange = fields.Number("initializer_range", 0, 1) ?? 0.02,
            OtherKeys = fields
                .Element.EnumerateObject()
                .Where(property => !known.Contains(property.Name))
                .ToDictionary(property => property.Name, property => property.Value.GetRawText()),
        };
        ClassifierConfig? classifier = ClassifierKeys.Read(fields, family);
        ModelConfig config = family.Read(fields, common);
        if (classifier is not null)
            config = config with { Classifier = classifier, TieWordEmbeddings = false };
        if (config.ParameterCount > MaximumParameters)
        {
            throw fields.Wrong(
                "num_hidden_layers",
                $"a model of at most {MaximumParameters} parameters; these sizes give {config.ParameterCount}"
            );
        }

        return config;

        string Key(string name) =>
            family.OwnNames.TryGetValue(name, out string? own) && (fields.IsGiven(own) || !fields.IsGiven(name))
                ? own
                : name;
    }

    private static int KeyValueHeads(JsonFields fields, ModelFamily family, int heads)
    {
        int absent = family.DefaultKeyValueHeads(heads);
        int count = fields.IsGiven("num_key_value_heads")
            ? fields.Integer("num_key_value_heads", 1, heads) ?? heads
            : absent;
        return heads % count == 0
            ? count
            : throw fields.Wrong(
                "num_key_value_heads",
                $"a divisor of num_attention_heads, which is {heads} (for {family.ModelType} it is "
                    + $"{absent} where it is not given)"
            );
    }

    private static int HeadDimension(JsonFields fields, ModelFamily family, int hidden, int heads) =>
        hidden % heads == 0 && hidden / heads >= 2 && hidden / heads % 2 == 0
            ? hidden / heads
            : throw fields.Wrong(
                family.OwnNames.GetValueOrDefault("num_attention_heads", "num_attention_heads"),
                $"a divisor of hidden_size {hidden} that leaves an even head width, as " + "head_dim is not given"
            );

    // Version 5 of transformers keeps theta and scaling together, in rope_scaling unless it is empty, otherwise in
    // rope_parameters. A theta in there takes precedence over the one at the top level, which is the only one that
    // version 4 reads.
    // The same goes for the share of a head's features that turn.
    private static (double Theta, double Turning, RopeScaling? Scaling) Rope(
        RopeContext rotary,
        JsonFields? parameters,
        ModelFamily family,
        string path,
        List<string> warnings
    )
    {
        JsonFields fields = rotary.Config;
        double theta = fields.Number("rope_theta", 1, LargestTheta) ?? rotary.Theta;
        JsonFields? old = NotEmpty(fields, "rope_scaling");
        if ((old ?? parameters) is not { } chosen)
            return (theta, Turning(fields, null, family, rotary.Size), null);
        string name = old is null ? "rope_parameters" : "rope_scaling";
        if (
            old is not null
            && parameters is not null
            && !JsonElement.DeepEquals(old.Value.Element, parameters.Value.Element)
        )
        {
            warnings.Add($"{path}: rope_scaling and rope_parameters differ; the former counts, as in transformers 5");
        }

        double turning = Turning(fields, chosen, family, rotary.Size);
        if (fields.Number(TurningKey, 0, 1) is { } outer && outer != turning)
        {
            warnings.Add(
                FormattableString.Invariant($"{path}: {TurningKey} is {outer:R}, in {name} {turning:R}, which counts, ")
                    + "as in transformers 5 (4 takes the former)"
            );
        }
        double inner = chosen.Number("rope_theta", 1, LargestTheta) ?? theta;
        if (inner != theta && fields.Has("rope_theta"))
        {
            warnings.Add(
                FormattableString.Invariant(
                    $"{path}: rope_theta is {theta:R}, in {name} {inner:R}, which counts, as in "
                ) + "transformers 5 (4 takes the former)"
            );
        }
        RopeContext context = rotary with { Theta = inner, Size = (int)(rotary.Size * turning) };
        return (inner, turning, RopeScaling.Read(chosen, context));
    }

    // The rotary parameters of layers without a window and of layers with one, which have keys of their own.
    private static (JsonFields? Full, JsonFields? Sliding) ByLayerType(JsonFields? parameters)
    {
        if (parameters is not { } types)
            return (null, null);
        foreach (JsonProperty type in types.Element.EnumerateObject())
        {
            if (type.Name is LayerTypeNames.Full or LayerTypeNames.Sliding)
                continue;
            const string Expected = $"no such key, but {LayerTypeNames.Full} and {LayerTypeNames.Sliding} alone";
            throw types.Wrong(type.Name, Expected);
        }
        return (NotEmpty(types, LayerTypeNames.Full), NotEmpty(types, LayerTypeNames.Sliding));
    }

    private static RotaryAngles? SlidingRotary(RopeContext rotary, JsonFields? parameters, ModelFamily family)
    {
        if (family.SlidingRopeThetaKey is not { } key)
            return null;
        int size = (int)(rotary.Size * Turning(rotary.Config, parameters, family, rotary.Size));
        double theta =
            parameters?.Number("rope_theta", 1, LargestTheta)
            ?? rotary.Config.Number(key, 1, LargestTheta)
            ?? DefaultSlidingTheta;
        RopeContext context = rotary with { Theta = theta, Size = size };
        return new RotaryAngles(theta, parameters is { } given ? RopeScaling.Read(given, context) : null);
    }

    // What can be read of a model with several kinds of input, whose text model is of a family.
    private static string TextModel(JsonFields fields)
    {
        string? type = fields.Find("text_config") is { ValueKind: JsonValueKind.Object }
            ? fields.Object("text_config")!.Value.Text("model_type")
            : null;
        return ModelFamilies.Find(type) is null
            ? ""
            : $"; its text model, a {type}, can be read from a folder of its own, with text_config as its config.json "
                + "and the tensors of the text model alone";
    }

    // The share of a head's features that turn, from the object with the scaling or from the config.
    private static double Turning(JsonFields fields, JsonFields? scaling, ModelFamily family, int headDimension)
    {
        double? outer = fields.Number(TurningKey, 0, 1);
        double? inner = scaling?.Number(TurningKey, 0, 1);
        double factor = inner ?? outer ?? family.DefaultPartialRotaryFactor ?? 1;
        JsonFields from = inner is null ? fields : scaling!.Value;
        if (family.DefaultPartialRotaryFactor is null && factor != 1)
            throw from.Wrong(TurningKey, $"1, as in every {family.ModelType} model");
        int turning = (int)(headDimension * factor);
        return turning > 0 && turning % 2 == 0
            ? factor
            : throw from.Wrong(
                TurningKey,
                $"a share of the {headDimension} features of a head that is an even number of them, at least 2"
            );
    }

    private static JsonFields? NotEmpty(JsonFields fields, string key) =>
        fields.Object(key) is { } found && found.Element.EnumerateObject().Any() ? found : null;

    public static void Save(ModelConfig config, string directory) =>
        AtomicFile.Write(
            Path.Combine(directory, FileName),
            stream =>
            {
                using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
                json.WriteStartObject();
                foreach ((string key, string text) in config.OtherKeys)
                {
                    json.WritePropertyName(key);
                    json.WriteRawValue(text);
                }
                if (config.Classifier is not null)
                {
                    ClassifierKeys.Write(config, json);
                }
                else if (!config.OtherKeys.ContainsKey("architectures"))
                {
                    json.WriteStartArray("architectures");
                    json.WriteStringValue(config.Family.Architecture);
                    json.WriteEndArray();
                }
                WriteSizes(config, json);
                config.Family.WriteAttention(config, json);
                WriteTokens(config, json);
                json.WriteEndObject();
            }
        );

    private static void WriteSizes(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteString("model_type", config.ModelType);
        json.WriteNumber("vocab_size", config.VocabularySize);
        json.WriteNumber(Key("hidden_size"), config.HiddenSize);
        json.WriteNumber(Key("intermediate_size"), config.IntermediateSize);
        json.WriteNumber(Key("num_hidden_layers"), config.Layers);
        json.WriteNumber(Key("num_attention_heads"), config.Heads);
        json.WriteNumber("num_key_value_heads", config.KeyValueHeads);
        json.WriteNumber("head_dim", config.HeadDimension);
        ActivationNames.Write(config, json);
        json.WriteNumber(config.Family.NormEpsilonKey, config.RmsNormEpsilon);
        json.WriteNumber(Key("max_position_embeddings"), config.MaxPositions);
        json.WriteBoolean("tie_word_embeddings", config.TieWordEmbeddings);
        json.WriteNumber("initializer_range", config.InitializerRange);
        if (config.WeightType is not null)
            json.WriteString("torch_dtype", config.WeightType);

        string Key(string name) => config.Family.OwnNames.GetValueOrDefault(name, name);
    }

    private static void WriteTokens(ModelConfig config, Utf8JsonWriter json)
    {
        if (config.BosTokenId is { } bos)
            json.WriteNumber("bos_token_id", bos);
        if (config.EosTokenIds.Count == 1)
            json.WriteNumber("eos_token_id", config.EosTokenIds[0]);
        if (config.EosTokenIds.Count < 2)
            return;
        json.WriteStartArray("eos_token_id");
        foreach (int id in config.EosTokenIds)
            json.WriteNumberValue(id);
        json.WriteEndArray();
    }
}
