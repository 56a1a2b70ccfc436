using Spectral.Training.Adapters;
using Spectral.Training.Data;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// What adapters that follow tokens add to a layer's output, in double and token by token, from the published formulas
/// and the factors of their files alone.
/// </summary>
internal sealed class ReferenceTokenChanges
{
    private readonly Adapter _adapter;
    private readonly Batch _batch;
    private readonly Dictionary<string, AdaptedModule> _modules;
    private readonly Dictionary<(string Module, string Factor), double[]> _values = [];

    private Dictionary<(string Module, int Row), List<double[]>> _inputs = [];
    private Dictionary<(string Module, int Row), List<double[]>> _before = [];

    /// <summary>Reads the factors as they are.</summary>
    public ReferenceTokenChanges(Adapter adapter, Batch batch)
    {
        (_adapter, _batch) = (adapter, batch);
        _modules = adapter
            .Modules.Where(module => module.Form.Change is not null)
            .ToDictionary(module => module.Shape.Name);
        foreach (AdaptedModule module in _modules.Values)
        {
            foreach ((string name, Training.Optim.Parameter factor) in module.Factors)
            {
                _values[(module.Shape.Name, name)] = Array.ConvertAll(factor.Master.ToArray(), value => (double)value);
            }
        }
    }

    /// <summary>Returns what is added for one token; null where the layer has no such adapter.</summary>
    /// <param name="layer">The name of the layer.</param>
    /// <param name="row">The row of the batch, which has one record.</param>
    /// <param name="place">The place of the token in it.</param>
    /// <param name="x">The layer's input.</param>
    /// <param name="y">The layer's output without the change.</param>
    public double[]? Of(string layer, int row, int place, double[] x, double[] y)
    {
        if (!_modules.TryGetValue(layer, out AdaptedModule? module))
            return null;
        return _adapter.Method.Name switch
        {
            "alora" => Activated(module, row, place, x),
            "loreft" => Edited(module, row, place, y),
            "mola" => Mixed(module, "mola", Chosen(Product(Factor(module, "mola_router"), x, 1), 2), x),
            "milora-mixture" => Mixed(module, "milora", OfPrompt(module, row, x), x),
            "ept" => Pyramid(module, x),
            "queryable-lora" => Queried(module, x),
            "lily" => Shared(module, row, x),
            _ => throw new InvalidOperationException($"{_adapter.Method.Name} has no reference"),
        };
    }

    private double[] Activated(AdaptedModule module, int row, int place, double[] x)
    {
        int[] tokens = Record(row);
        int[] wanted = [.. module.Options.InvocationTokens];
        int from = int.MaxValue;
        for (int at = 0; at + wanted.Length <= tokens.Length; at++)
        {
            if (wanted.Select((token, i) => tokens[at + i] == token).All(same => same))
                from = at;
        }

        if (place < from)
            return new double[module.Shape.Out];
        return Product(
            Factor(module, "lora_B.weight"),
            Product(Factor(module, "lora_A.weight"), x, 1),
            module.Options.Alpha / module.Options.Rank
        );
    }

    private double[] Edited(AdaptedModule module, int row, int place, double[] v)
    {
        int prompt = Prompt(row);
        bool isFirst = place < module.Options.Setting(_adapter.Method, "first");
        bool isLast = place >= prompt - module.Options.Setting(_adapter.Method, "last");
        double[] added = new double[v.Length];
        if (place >= prompt || !(isFirst || isLast))
            return added;
        double[] rotation = Factor(module, "reft_R");
        double[] learned = Product(Factor(module, "reft_W"), v, 1);
        double[] rotated = Product(rotation, v, 1);
        double[] shift = Factor(module, "reft_b");
        for (int i = 0; i < shift.Length; i++)
        {
            for (int o = 0; o < v.Length; o++)
                added[o] += rotation[(i * v.Length) + o] * (learned[i] + shift[i] - rotated[i]);
        }

        return added;
    }

    /// <summary>
    /// Computes a loss in which gates of a layer depend on all tokens of a record. The loss is computed again and again
    /// with the inputs of the pass before, until those of the last layer are right.
    /// </summary>
    public double Settled(Func<double> loss)
    {
        double value = loss();
        int passes = _adapter.Method.Name is "lily" or "milora-mixture" ? _modules.Count : 0;
        for (int pass = 0; pass < passes; pass++)
        {
            (_before, _inputs) = (_inputs, []);
            value = loss();
        }

        return value;
    }

    private double[] Mixed(AdaptedModule module, string name, double[] gates, double[] x)
    {
        int rank = module.Options.Rank;
        double[] right = Factor(module, $"{name}_A");
        double[] left = Factor(module, $"{name}_B");
        double[] added = new double[module.Shape.Out];
        for (int expert = 0; expert < gates.Length; expert++)
        {
            double gate = gates[expert];
            double[] h = Product(right[(expert * rank * x.Length)..((expert + 1) * rank * x.Length)], x, 1);
            for (int o = 0; o < added.Length; o++)
            {
                for (int i = 0; i < rank; i++)
                {
                    added[o] +=
                        module.Options.Alpha / rank * gate * left[(((o * gates.Length) + expert) * rank) + i] * h[i];
                }
            }
        }

        return added;
    }

    private double[] Pyramid(AdaptedModule module, double[] x)
    {
        int rank = module.Options.Rank;
        double[] gates = Chosen(Product(Factor(module, "ept_router"), x, 1), 2);
        double[] h = Product(Factor(module, "ept_A"), x, module.Options.Alpha / rank);
        double[] left = Factor(module, "ept_B");
        double[] added = new double[module.Shape.Out];
        int width = left.Length / added.Length;
        for (int o = 0; o < added.Length; o++)
        {
            int column = 0;
            for (int expert = 0; expert < gates.Length; expert++)
            {
                int size = Math.Max(1, rank / (1 << expert));
                for (int i = 0; i < size; i++)
                    added[o] += gates[expert] * left[(o * width) + column++] * h[i];
            }
        }

        return added;
    }

    private double[] Queried(AdaptedModule module, double[] x)
    {
        int rank = module.Options.Rank;
        double[] h = Product(Factor(module, "queryable_A"), x, 1);
        double[] logits = Product(Factor(module, "queryable_K"), h, 1 / Math.Sqrt(rank));
        double[] gates = Chosen(logits, logits.Length);
        double[] atoms = Factor(module, "queryable_C");
        double[] g = new double[rank];
        for (int atom = 0; atom < gates.Length; atom++)
        {
            double[] own = Product(atoms[(atom * rank * rank)..((atom + 1) * rank * rank)], h, gates[atom]);
            for (int i = 0; i < rank; i++)
                g[i] += own[i];
        }

        return Product(Factor(module, "queryable_B"), g, module.Options.Alpha / rank);
    }

    private double[] Shared(AdaptedModule module, int row, double[] x)
    {
        int rank = module.Options.Rank;
        double[] a = Factor(module, "lily_A.weight");
        double[][] others = Inputs(module, row, x);
        double[][] each =
        [
            .. others.Select(other =>
            {
                double[] logits = Product(Factor(module, "lily_router.weight"), Product(a, other, 1), 1);
                return Chosen(logits, logits.Length);
            }),
        ];
        double[] h = Product(a, x, module.Options.Setting(_adapter.Method, "scaling"));
        double[] b = Factor(module, "lily_B.weight");
        double[] added = new double[module.Shape.Out];
        for (int expert = 0; expert < each[0].Length; expert++)
        {
            double gate = each.Average(gates => gates[expert]);
            for (int i = 0; i < rank; i++)
            {
                for (int o = 0; o < added.Length; o++)
                    added[o] += gate * h[i] * b[(((expert * rank) + i) * added.Length) + o];
            }
        }

        return added;
    }

    private double[] OfPrompt(AdaptedModule module, int row, double[] x)
    {
        double[][] prompt = [.. Inputs(module, row, x).Take(Prompt(row))];
        double[] mean = [.. x.Select((_, i) => prompt.Average(other => other[i]))];
        return Chosen(Product(Factor(module, "milora_router"), mean, 1), 2);
    }

    /// <summary>Notes an input of a layer, and returns those of all tokens of the record in the pass before.</summary>
    private double[][] Inputs(AdaptedModule module, int row, double[] x)
    {
        (string, int) key = (module.Shape.Name, row);
        if (!_inputs.TryGetValue(key, out List<double[]>? now))
            _inputs.Add(key, now = []);
        now.Add([.. x]);
        return _before.TryGetValue(key, out List<double[]>? all) ? [.. all.Take(Record(row).Length)] : [x];
    }

    /// <summary>The softmax over the largest logits, 0 for the others.</summary>
    private static double[] Chosen(double[] logits, int count)
    {
        double least = logits.OrderDescending().ElementAt(Math.Min(count, logits.Length) - 1);
        double total = logits.Where(logit => logit >= least).Sum(Math.Exp);
        return [.. logits.Select(logit => logit >= least ? Math.Exp(logit) / total : 0)];
    }

    private double[] Factor(AdaptedModule module, string name) => _values[(module.Shape.Name, name)];

    private int[] Record(int row) =>
        _batch.Tokens.AsSpan(row * _batch.Length, _batch.RecordLengths[row * _batch.Length]).ToArray();

    /// <summary>The number of tokens before the first that has a loss.</summary>
    private int Prompt(int row)
    {
        int[] targets = _batch.Targets.AsSpan(row * _batch.Length, _batch.Length).ToArray();
        return Array.FindIndex(targets, target => target >= 0) + 1;
    }

    private static double[] Product(double[] matrix, double[] x, double scale)
    {
        double[] y = new double[matrix.Length / x.Length];
        for (int i = 0; i < y.Length; i++)
        {
            for (int j = 0; j < x.Length; j++)
                y[i] += scale * matrix[(i * x.Length) + j] * x[j];
        }

        return y;
    }
}
