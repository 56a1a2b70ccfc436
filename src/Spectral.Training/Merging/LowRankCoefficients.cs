using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Merging;

/// <summary>
/// Coefficients of inputs that are low-rank terms L_i R_i of linear layers. The terms of all inputs stand beside the
/// frozen weight W as one of their ranks' sum, y = x Wᵀ + ((x Rᵀ) ∘ c) Lᵀ, where c repeats λ_i for each row of R_i. So
/// dλ_i = Σ over tokens of (x R_iᵀ) · (dy L_i): backward meets no matrix of a weight's size, and the inputs are read
/// once.
/// </summary>
internal sealed class LowRankCoefficients : CoefficientModel
{
    private readonly MergeRun _run;
    private readonly CausalLanguageModel _model;
    private readonly Adapter _adapter;
    private readonly MergeBatches _batches;
    private readonly IReadOnlyDictionary<string, int[]> _ranks;

    /// <summary>Loads the base and the factors of all inputs, F32.</summary>
    public LowRankCoefficients(MergeRun run)
    {
        (_run, _batches) = (run, new MergeBatches(run));
        _ranks = run.Merged.ToDictionary(name => name, name => run.Ranks(name)!);
        _model = CausalLanguageModel.Of(
            run.ResultConfig,
            run.Device,
            trainWeights: false,
            name => run.BaseValues(name)
        );
        try
        {
            SavedLayer[] layers =
            [
                .. _model
                    .Linears.Where(linear => _ranks.ContainsKey(linear.Weight.Name))
                    .Select(linear => new SavedLayer(linear.Name, _ranks[linear.Weight.Name].Sum(), 1)),
            ];
            AdapterOptions options = new() { TargetModules = [.. layers.Select(layer => layer.Name)] };
            _adapter = Adapter.Restore(_model, ScaledTerms.Instance, options, run.Model.Directory, layers, Fill);
            _adapter.Parameters.EnableGradients();
        }
        catch
        {
            _model.Dispose();
            throw;
        }
    }

    public override IReadOnlyDictionary<string, float[]> Slopes(IReadOnlyDictionary<string, float[]> coefficients)
    {
        foreach (AdaptedModule module in _adapter.Modules)
        {
            string tensor = Weight(module);
            float[] repeated =
            [
                .. coefficients[tensor].SelectMany((value, i) => Enumerable.Repeat(value, _ranks[tensor][i])),
            ];
            Middle(module).Master.CopyFrom(repeated);
        }
        _adapter.Parameters.NotifyChanged();
        _batches.Differentiate(_model, ofEntropy: false);
        foreach (string tensor in _ranks.Keys)
            _run.Report(tensor);
        return _adapter.Modules.ToDictionary(Weight, module => Sums(Middle(module), _ranks[Weight(module)]));
    }

    public override void Dispose()
    {
        _adapter.Dispose();
        _model.Dispose();
    }

    private static string Weight(AdaptedModule module) => $"{module.Shape.Name}.weight";

    private static Parameter Middle(AdaptedModule module) => module.Factors[ScaledTerms.Middle];

    private static float[] Sums(Parameter middle, int[] ranks)
    {
        float[] slopes = middle.Gradient!.ToArray();
        int at = 0;
        return Array.ConvertAll(
            ranks,
            rank =>
            {
                double sum = 0;
                for (int end = at + rank; at < end; at++)
                    sum += slopes[at];
                return (float)sum;
            }
        );
    }

    /// <summary>Writes the inputs' factors beside each other, L = [L_1, L_2, …] and R = [R_1; R_2; …].</summary>
    private void Fill(Adapter adapter)
    {
        foreach (AdaptedModule module in adapter.Modules)
        {
            string tensor = Weight(module);
            int[] ranks = _ranks[tensor];
            int all = ranks.Sum();
            float[] left = new float[(long)module.Shape.Out * all];
            float[] right = new float[(long)all * module.Shape.In];
            int at = 0;
            for (int input = 0; input < ranks.Length; input++)
            {
                if (ranks[input] == 0)
                    continue;
                (float[] l, float[] r) = _run.Factors(tensor, input);
                for (int row = 0; row < module.Shape.Out; row++)
                    l.AsSpan(row * ranks[input], ranks[input]).CopyTo(left.AsSpan((row * all) + at));
                r.CopyTo(right, at * module.Shape.In);
                at += ranks[input];
            }
            module.Factors[ScaledTerms.Left].Master.CopyFrom(left);
            module.Factors[ScaledTerms.Right].Master.CopyFrom(right);
        }
    }

    /// <summary>The form L diag(c) R with frozen factors. It exists in memory only and is not listed.</summary>
    private sealed class ScaledTerms : AdapterMethod
    {
        public const string Left = "left";
        public const string Middle = "coefficients";
        public const string Right = "right";

        private ScaledTerms() { }

        public static ScaledTerms Instance { get; } = new();

        public override string Name => "scaled-terms";

        public override string Formula => "W + L diag(c) R, c [r] trained";

        public override string Source => "Zhang et al., 2024, arXiv 2407.02880";

        public override string Use => "Learns how much of each input a merge takes.";

        public override AdapterForm Form(AdapterBuilder layer)
        {
            Factor middle = layer.Trained(Middle, layer.Rank);
            LowRankTerm term = new(
                layer.Frozen(Left, (layer.Out, layer.Rank)),
                layer.Frozen(Right, (layer.Rank, layer.In))
            );
            return new AdapterForm { Terms = [term with { Middle = middle }] };
        }
    }
}
