using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// FlexLoRA: at intervals, the layers whose triplets (column of B, e, row of A) are used least evenly give one up, the
/// one with the smallest |e|, and those whose triplets are used most evenly get one more, with e = 0. The number over
/// all layers stays.
/// </summary>
internal sealed class FlexLoraMethod : AdapterMethod
{
    private const string A = "lora_A";
    private const string B = "lora_B";
    private const string E = "lora_E";
    private const string Active = "flexlora_active";

    private const string Most = "most";
    private const string Exchanged = "exchanged";
    private const string Begin = "begin";
    private const string Finish = "finish";
    private const string Interval = "interval";
    private const string Gamma = "gamma";

    private const double Deviation = 0.02;

    public override string Name => "flexlora";
    public override string Formula =>
        "W + (alpha/rank)·B·diag(m∘E)·A, m = 1 for a layer’s triplets, rank of them on average; loss + "
        + "gamma·mean(‖BᵀB - I‖, ‖A·Aᵀ - I‖)";
    public override string Source => "FlexLoRA, 2026, in the code of Si et al., 2024, arXiv 2407.05417";
    public override string Use =>
        "Moves rank from layers with few important directions to layers whose directions are all in use. Memory and "
        + "time are those of LoRA at the largest rank of a layer.";
    public override bool IsPublishedForm => false;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new(Most, 2, 1, 64, "Largest rank of a layer, in multiples of --rank."),
        AdapterSetting.Whole(Exchanged, 4, 1, 1 << 16, "Layers that give up a triplet at first; falls to 0 as a cube."),
        new(Begin, 0.1, 0, 1, "Share of the run's steps before the first exchange."),
        new(Finish, 0.3, 0, 1, "Share of the run's steps at the end, without an exchange."),
        AdapterSetting.Whole(Interval, 10, 1, 1000000, "Steps from one exchange to the next."),
        new(Gamma, 0.1, 0, 1e6, "Weight of the penalty that keeps factors orthonormal."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int most = Math.Max(rank, (int)(layer.Setting(Most) * rank));
        Factor left = layer.Trained(B, (layer.Out, most), Start.Normal(Deviation), layer.Options.LearningRateRatio);
        Factor values = layer.Trained(E, most);
        Factor right = layer.Trained(A, (most, layer.In), Start.Normal(Deviation));
        Factor active = layer.Frozen(
            Active,
            most,
            Start.Values([.. Enumerable.Range(0, most).Select(i => i < rank ? 1f : 0f)])
        );
        double each = layer.Setting(Gamma) / (2 * layer.AllModules.Count);
        return new AdapterForm
        {
            Terms = [new(left, right, layer.Options.Scale) { Middle = values.Multiply(active, Broadcast.PerElement) }],
            Penalty = Penalties
                .Orthonormality(left, columns: true)
                .Add(Penalties.Orthonormality(right, columns: false), each, each),
        };
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        (double first, double last) = (
            step.Options.Setting(this, Begin) * step.Total,
            (1 - step.Options.Setting(this, Finish)) * step.Total
        );
        if (step.Number <= first || step.Number > last || step.Number % (int)step.Options.Setting(this, Interval) != 0)
        {
            return false;
        }

        double left = 1 - (step.Number - first) / (last - first);
        int count = (int)Math.Round(step.Options.Setting(this, Exchanged) * Math.Pow(left, 3));
        State[] ordered = [.. step.Modules.Select(State.Of).OrderBy(state => state.Evenness)];
        State[] givers = [.. ordered.Where(state => state.Count > 1).Take(Math.Min(count, ordered.Length / 2))];
        State[] takers =
        [
            .. ordered
                .Reverse()
                .Where(state => state.Count < state.Mask.Length && !givers.Contains(state))
                .Take(givers.Length),
        ];
        foreach ((State giver, State taker) in givers.Zip(takers))
        {
            giver.GiveUp();
            taker.Take(step);
        }

        return takers.Length > 0;
    }

    /// <summary>The triplets of a layer between steps, on the host.</summary>
    private sealed record State(AdaptedModule Module, float[] Values, float[] Mask)
    {
        public int Count { get; } = Mask.Count(value => value == 1);

        /// <summary>
        /// How evenly the layer uses its triplets: the entropy of e²/Σe², divided by that of equal ones; 1 for one
        /// triplet, and where all are zero.
        /// </summary>
        public double Evenness { get; } = EvennessOf(Values, Mask);

        public static State Of(AdaptedModule module) =>
            new(module, module.Factors[E].Master.ToArray(), module.Factors[Active].Master.ToArray());

        public void GiveUp()
        {
            int least = Enumerable.Range(0, Mask.Length).Where(i => Mask[i] == 1).MinBy(i => Math.Abs(Values[i]));
            Set(least, 0);
        }

        /// <summary>Begins a triplet in the first free place, with new directions.</summary>
        public void Take(AdapterStep step)
        {
            int free = Array.IndexOf(Mask, 0f);
            Set(free, 1);
            Parameter left = Module.Factors[B];
            Parameter right = Module.Factors[A];
            (int most, int inputs) = (Mask.Length, Module.Shape.In);
            string stream = $"{Module.Shape.Name}.{step.Options.Seed}.{step.Number}";
            float[] columns = left.Master.ToArray();
            float[] rows = right.Master.ToArray();
            float[] column = Drawn(left, Module.Shape.Out, stream + B);
            for (int i = 0; i < column.Length; i++)
                columns[i * most + free] = column[i];
            Drawn(right, inputs, stream + A).CopyTo(rows, free * inputs);
            left.Master.CopyFrom(columns);
            right.Master.CopyFrom(rows);
        }

        private void Set(int place, float active)
        {
            (Values[place], Mask[place]) = (0, active);
            Module.Factors[E].Master.CopyFrom(Values);
            Module.Factors[Active].Master.CopyFrom(Mask);
        }

        private static float[] Drawn(Parameter beside, int count, string stream)
        {
            using var values = Kernels.Tensor.Empty(beside.Device, count);
            Philox.Normal(values, 0, RandomStream.For(stream), 0, (float)Deviation);
            return values.ToArray();
        }

        private static double EvennessOf(float[] values, float[] mask)
        {
            double[] squares =
            [
                .. values.Zip(mask).Where(pair => pair.Second == 1).Select(pair => (double)pair.First * pair.First),
            ];
            double sum = squares.Sum();
            if (squares.Length < 2 || !(sum > 0))
                return 1;
            return -squares.Where(square => square > 0).Sum(square => square / sum * Math.Log(square / sum))
                / Math.Log(squares.Length);
        }
    }
}
