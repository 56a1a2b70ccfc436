using Spectral.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// The whole model once more, in double and in plain loops: one row of tokens at a time, no batching, no padding, no
/// cache. Weights are looked up by name, so that a test can shift one scalar and see what the loss does.
/// </summary>
internal sealed class ReferenceModel(ModelConfig config, IReadOnlyDictionary<string, double[]> own)
{
    private readonly Dictionary<string, double[]> _weights = own.ToDictionary(
        pair => LlamaNames.From(pair.Key),
        pair => pair.Value
    );

    // Of one forward pass: asking anew for each token is most of the cost of one.
    private readonly Dictionary<string, double[]?> _changes = [];
    private readonly Dictionary<string, int> _applied = [];

    /// <summary>Dense weight change of a module [out·in], if it has an adapter.</summary>
    public Func<string, double[]?> WeightChange { get; init; } = _ => null;

    /// <summary>What a module adds to its output for an input [in], if anything.</summary>
    public Func<string, double[], double[]?> OutputChange { get; init; } = (_, _) => null;

    /// <summary>
    /// What a module adds to its output, given its name, the place of the token in its row, its input and its output so
    /// far, if anything.
    /// </summary>
    public Func<string, int, double[], double[], double[]?> TokenChange { get; init; } = (_, _, _, _) => null;

    /// <summary>The number of the row of a batch that is computed.</summary>
    public int Row { get; private set; }

    /// <summary>Embeddings [n, D] of virtual tokens before every row, if any.</summary>
    public double[] Prompt { get; init; } = [];

    /// <summary>
    /// Keys and values of virtual tokens before every row, [n, layers, 2, KV, hd], if any. Keys are not rotated.
    /// </summary>
    public double[] Prefix { get; init; } = [];

    /// <summary>Told the name and the input of every linear layer that is applied to a token.</summary>
    public Action<string, double[]>? Observe { get; init; }

    /// <summary>Told the hidden states of a row's tokens after each decoder layer, with its number.</summary>
    public Action<int, double[][]>? AfterLayer { get; init; }

    /// <summary>Sum over the rows' targets that are not −1 of −log p(target).</summary>
    public double LossSum(Batch batch) => Losses(batch).Sum();

    /// <summary>The loss of each position that has a target.</summary>
    public double[] Losses(Batch batch)
    {
        _changes.Clear();
        List<double> losses = [];
        for (int row = 0; row < batch.Rows; row++)
        {
            Row = row;
            ReadOnlySpan<int> targets = batch.Targets.AsSpan(row * batch.Length, batch.Length);
            double[][] logits = Forward(batch.Tokens.AsSpan(row * batch.Length, batch.Length));
            for (int t = 0; t < targets.Length; t++)
            {
                if (targets[t] >= 0)
                    losses.Add(LogSumExp(logits[t]) - logits[t][targets[t]]);
            }
        }
        return [.. losses];
    }

    /// <summary>Logits of every position of one row.</summary>
    public double[][] Logits(ReadOnlySpan<int> tokens)
    {
        _changes.Clear();
        return Forward(tokens);
    }

    private double[][] Forward(ReadOnlySpan<int> tokens)
    {
        _applied.Clear();
        double[] embedding = _weights["model.embed_tokens.weight"];
        double[][] prompt = [.. Prompt.Chunk(config.HiddenSize)];
        double[][] x = new double[prompt.Length + tokens.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[] row = t < prompt.Length ? prompt[t] : Looked(embedding, tokens[t - prompt.Length]);
            x[t] = t < prompt.Length && IsGemma ? row : Multiplied(config.EmbeddingMultiplier)(row);
            if (_weights.TryGetValue("transformer.wpe.weight", out double[]? positions))
                Add([x[t]], [positions.AsSpan((t + PrefixLength) * row.Length, row.Length).ToArray()]);
        }
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            double[][] input = Normed(x, prefix + "input_layernorm.weight");
            double[][] attended = Attention(input, prefix + "self_attn.", layer);
            attended = Normed(attended, prefix + "post_self_attn_layernorm.weight");
            if (After || IsSandwich)
                attended = Normed(attended, prefix + "post_attention_layernorm.weight");
            Add(x, Each(attended, Multiplied(config.ResidualMultiplier)));
            string before = IsSandwich ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight";
            if (!After && !IsParallel)
                input = Normed(x, prefix + before);
            double[][] fed = Each(After ? x : input, row => FeedForward(row, prefix));
            fed = Normed(fed, prefix + "post_mlp_layernorm.weight");
            fed = Normed(fed, prefix + "post_feedforward_layernorm.weight");
            Add(x, Each(fed, Multiplied(config.ResidualMultiplier)));
            AfterLayer?.Invoke(layer, x);
        }
        double[] head = _weights[config.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"];
        double[][] logits = Each(x[prompt.Length..], row => Head(Norm(row, "model.norm.weight"), head));
        return Each(
            Each(logits, Multiplied(config.LogitMultiplier / config.LogitDivisor)),
            row => [.. row.Select(logit => Capped(logit, config.LogitSoftCap))]
        );
    }

    /// <summary>Whether the only norms of the model are after attention and after the feed-forward layer.</summary>
    private bool After => !_weights.ContainsKey("model.layers.0.input_layernorm.weight");

    /// <summary>
    /// Whether attention and the feed-forward layer stand between two norms each, under Gemma's names.
    /// </summary>
    private bool IsSandwich => _weights.ContainsKey("model.layers.0.pre_feedforward_layernorm.weight");

    /// <summary>Whether norms have weights around 1 and only tokens have scaled embeddings.</summary>
    private bool IsGemma => config.ModelType is "gemma" or "gemma2" or "gemma3_text";

    /// <summary>Whether attention and the feed-forward layer have the same input.</summary>
    private bool IsParallel => config.ModelType is "cohere" or "cohere2" || config.ParallelResidual;

    /// <summary>Whether norms take the mean out.</summary>
    private bool IsCentered =>
        config.ModelType is "cohere" or "cohere2" or "stablelm" or "starcoder2" or "gpt2" or "phi";

    /// <summary>How many virtual tokens are before the tokens' positions.</summary>
    private int PrefixLength => Prefix.Length / (2 * config.Layers * config.KeyValueHeads * config.HeadDimension);

    /// <summary>Whether the features that turn together are neighbours.</summary>
    private bool IsInterleaved => config.ModelType is "cohere" or "cohere2" or "glm" or "glm4";

    private double[][] Normed(double[][] x, string norm) =>
        _weights.ContainsKey(norm) ? Each(x, row => Norm(row, norm)) : x;

    private static Func<double[], double[]> Multiplied(double factor) =>
        row => [.. row.Select(value => factor * value)];

    private double[] Looked(double[] embedding, int token)
    {
        double[] row = embedding.AsSpan(token * config.HiddenSize, config.HiddenSize).ToArray();
        if (Change(LlamaNames.To(config.ModelType, "model.embed_tokens")) is { } change)
            Add([row], [change.AsSpan(token * config.HiddenSize, config.HiddenSize).ToArray()]);
        return row;
    }

    private double[] Head(double[] x, double[] weight)
    {
        double[] logits = Multiply(x, weight, config.VocabularySize);
        if (_weights.TryGetValue("lm_head.bias", out double[]? bias))
            Add([logits], [bias]);
        if (Change("lm_head") is { } change)
            Add([logits], [Multiply(x, change, config.VocabularySize)]);
        return logits;
    }

    private double[] FeedForward(double[] x, string prefix)
    {
        if (_weights.ContainsKey(prefix + "block_sparse_moe.gate.weight"))
            return Mixture(x, prefix + "block_sparse_moe.", ["w1", "w3"], "w2");
        return _weights.ContainsKey(prefix + "mlp.gate.weight")
            ? Mixture(x, prefix + "mlp.", ["gate_proj", "up_proj"], "down_proj")
            : Mlp(x, prefix + "mlp.", ["gate_proj", "up_proj"], "down_proj");
    }

    private double[] Mixture(double[] x, string prefix, string[] gates, string down)
    {
        double[] logits = Linear(x, prefix + "gate");
        double total = LogSumExp(logits);
        double[] probabilities = [.. logits.Select(logit => Math.Exp(logit - total))];
        int[] chosen =
        [
            .. Enumerable
                .Range(0, logits.Length)
                .OrderByDescending(expert => logits[expert])
                .Take(config.Experts!.PerToken),
        ];
        double divisor = config.Experts.NormalisesWeights ? chosen.Sum(expert => probabilities[expert]) : 1;
        double[] sum = new double[x.Length];
        foreach (int expert in chosen)
        {
            double[] own = Mlp(x, $"{prefix}experts.{expert}.", gates, down);
            Add([sum], [Multiplied(probabilities[expert] / divisor)(own)]);
        }
        return sum;
    }

    private double[] Mlp(double[] x, string prefix, string[] gateNames, string downName)
    {
        if (_weights.ContainsKey(prefix + "c_fc.weight"))
            return Linear([.. Linear(x, prefix + "c_fc").Select(Activated)], prefix + "c_proj");
        double[][] gates = Projected(x, prefix, gateNames, "gate_up_proj", [1, 1]);
        (double[] gate, double[] up) = (gates[0], gates[1]);
        double[] gated = new double[gate.Length];
        for (int i = 0; i < gated.Length; i++)
            gated[i] = Activated(gate[i]) * up[i];
        return Linear(gated, prefix + downName);
    }

    private double Activated(double x) =>
        config.Activation switch
        {
            Activation.Silu => x / (1 + Math.Exp(-x)),
            Activation.Gelu => x * NormalProbability.Of(x),
            _ => x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
        };

    private double[][] Attention(double[][] x, string prefix, int layer)
    {
        int size = config.HeadDimension;
        int window = config.WindowOf(layer);
        double factor = config.AttentionMultiplier ?? 1 / Math.Sqrt(size);
        int[] heads = [config.Heads, config.KeyValueHeads, config.KeyValueHeads];
        double[][][] projected =
        [
            .. x.Select(row => Projected(row, prefix, ["q_proj", "k_proj", "v_proj"], "qkv_proj", heads)),
        ];
        double[][] q = [.. projected.Select(values => HeadNorm(values[0], prefix + "q_norm", prefix + "q_layernorm"))];
        double[][] k = [.. projected.Select(values => HeadNorm(values[1], prefix + "k_norm", prefix + "k_layernorm"))];
        double[][] v = [.. projected.Select(values => values[2])];
        int width = config.KeyValueHeads * size;
        double[][] virtualTokens = [.. Prefix.Chunk(2 * config.Layers * width)];
        int before = virtualTokens.Length;
        for (int t = 0; t < x.Length && config.Rotates(layer); t++)
        {
            Rotate(q[t], before + t, before + x.Length, layer);
            Rotate(k[t], before + t, before + x.Length, layer);
        }
        k = [.. Each(virtualTokens, token => token.AsSpan(2 * layer * width, width).ToArray()), .. k];
        v = [.. Each(virtualTokens, token => token.AsSpan((2 * layer + 1) * width, width).ToArray()), .. v];
        double[][] mixed = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            mixed[t] = new double[config.Heads * size];
            int last = before + t;
            for (int head = 0; head < config.Heads; head++)
            {
                int group = head * config.KeyValueHeads / config.Heads;
                int from = window > 0 ? Math.Max(0, last - window + 1) : 0;
                double[] scores = new double[last + 1 - from];
                for (int s = from; s <= last; s++)
                {
                    for (int i = 0; i < size; i++)
                        scores[s - from] += q[t][head * size + i] * k[s][group * size + i] * factor;
                    scores[s - from] = Capped(scores[s - from], config.AttentionSoftCap);
                }

                double total = LogSumExp(scores);
                for (int s = from; s <= last; s++)
                {
                    for (int i = 0; i < size; i++)
                        mixed[t][head * size + i] += Math.Exp(scores[s - from] - total) * v[s][group * size + i];
                }
            }
        }
        return Each(mixed, row => Linear(row, prefix + "o_proj"));
    }

    /// <summary>
    /// Values of linear layers with the same input, or of a single layer that has all of them, in proportion to shares.
    /// </summary>
    private double[][] Projected(double[] x, string prefix, string[] names, string fused, int[] shares)
    {
        if (!_weights.ContainsKey($"{prefix}{fused}.weight"))
            return [.. names.Select(name => Linear(x, prefix + name))];
        double[] all = Linear(x, prefix + fused);
        int unit = all.Length / shares.Sum();
        int from = 0;
        double[][] values = new double[shares.Length][];
        for (int i = 0; i < shares.Length; i++)
        {
            values[i] = all[from..(from + shares[i] * unit)];
            from += shares[i] * unit;
        }
        return values;
    }

    private double[] HeadNorm(double[] x, string name, string module)
    {
        int size = config.HeadDimension;
        if (config.HeadNorms)
            return [.. x.Chunk(size).SelectMany((head, i) => Norm(head, OfHead(i), new double[size]))];
        if (!_weights.TryGetValue(name + ".weight", out double[]? weight))
            return x;
        return [.. x.Chunk(weight.Length).SelectMany(head => Norm(head, name + ".weight"))];

        // All in one tensor, or each in a module of its own.
        double[] OfHead(int head) =>
            _weights.TryGetValue(name + ".weight", out double[]? all)
                ? all.AsSpan(head * size, size).ToArray()
                : _weights[$"{module}.norms.{head}.weight"];
    }

    private void Rotate(double[] heads, int position, int length, int layer)
    {
        float[] frequencies = config.RotaryFrequencies(length);
        double amplitude = config.RopeScaling?.Amplitude ?? 1;
        if (config is { SlidingRotary: { Scaling: null } own, SlidingLayers: { } slides } && slides[layer])
        {
            int size = config.HeadDimension;
            frequencies = [.. Enumerable.Range(0, size / 2).Select(i => (float)Math.Pow(own.Theta, -2.0 * i / size))];
            amplitude = 1;
        }
        for (int start = 0; start < heads.Length; start += config.HeadDimension)
        {
            for (int i = 0; i < frequencies.Length; i++)
            {
                (int a, int b) = IsInterleaved
                    ? (start + 2 * i, start + 2 * i + 1)
                    : (start + i, start + i + frequencies.Length);
                (double sine, double cosine) = Math.SinCos(position * (double)frequencies[i]);
                (sine, cosine) = (amplitude * sine, amplitude * cosine);
                (heads[a], heads[b]) = (heads[a] * cosine - heads[b] * sine, heads[b] * cosine + heads[a] * sine);
            }
        }
    }

    private double[] Linear(double[] x, string name)
    {
        string ownName = LlamaNames.To(config.ModelType, name);
        Observe?.Invoke(ownName, x);
        double[] weight = _weights[name + ".weight"];
        double[] y = Multiply(x, weight, weight.Length / x.Length);
        if (Change(ownName) is { } change)
            Add([y], [Multiply(x, change, y.Length)]);
        if (OutputChange(ownName, x) is { } added)
            Add([y], [added]);
        if (_weights.TryGetValue(name + ".bias", out double[]? bias))
            Add([y], [bias]);
        // Every layer is applied to the tokens of a row in order.
        int place = _applied.GetValueOrDefault(name);
        _applied[name] = place + 1;
        if (TokenChange(ownName, place, x, y) is { } routed)
            Add([y], [routed]);
        return y;
    }

    private double[]? Change(string module)
    {
        if (!_changes.TryGetValue(module, out double[]? change))
            _changes[module] = change = WeightChange(module);
        return change;
    }

    private double[] Norm(double[] x, string name) =>
        Norm(x, _weights[name], _weights.GetValueOrDefault(name.Replace(".weight", ".bias"), new double[x.Length]));

    private double[] Norm(double[] x, double[] weight, double[] bias)
    {
        double mean = IsCentered ? x.Average() : 0;
        x = [.. x.Select(value => value - mean)];
        double scale = 1 / Math.Sqrt(x.Sum(value => value * value) / x.Length + config.RmsNormEpsilon);
        double offset = IsGemma ? 1 : 0;
        return [.. x.Select((value, i) => value * scale * (offset + weight[i]) + bias[i])];
    }

    private static double Capped(double value, double cap) => cap > 0 ? cap * Math.Tanh(value / cap) : value;

    private static double[] Multiply(double[] x, double[] weight, int outputs)
    {
        double[] y = new double[outputs];
        for (int o = 0; o < outputs; o++)
        {
            ReadOnlySpan<double> row = weight.AsSpan(o * x.Length, x.Length);
            double sum = 0;
            for (int i = 0; i < row.Length; i++)
                sum += x[i] * row[i];
            y[o] = sum;
        }

        return y;
    }

    private static double LogSumExp(double[] values)
    {
        double top = values.Max();
        return top + Math.Log(values.Sum(value => Math.Exp(value - top)));
    }

    private static double[][] Each(double[][] rows, Func<double[], double[]> map) => [.. rows.Select(map)];

    private static void Add(double[][] to, double[][] from)
    {
        for (int t = 0; t < to.Length; t++)
        {
            for (int i = 0; i < to[t].Length; i++)
                to[t][i] += from[t][i];
        }
    }
}
