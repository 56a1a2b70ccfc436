using Spectral.Kernels;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels round the model: loss, norm of the gradients, optimizer, random numbers.</summary>
internal static class StepKernels
{
    private const int Rows = 64;
    private const int Vocabulary = 8192;
    private const double Logits = (double)Rows * Vocabulary;
    private const int Parameters = 1 << 18;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. KernelSet.Plans(machine, "loss 64 x 8192", Losses),
            KernelSet.Plan(machine, "optimizer 262144", Optimizer),
            KernelSet.Plan(machine, "optimizer 1024 x 256", MatrixOptimizers),
            KernelSet.Plan(machine, "random 262144", Random),
            KernelSet.Plan(machine, "random search 262144", RandomSearches),
            KernelSet.Plan(machine, "pairs of rank 128", Pairs),
        ];

    private static void Losses(KernelSet set, DType type)
    {
        Tensor logits = set.Normal((Rows, Vocabulary));
        Tensor targets = set.Indices(Rows, i => i);
        Tensor losses = set.Empty(Rows);
        Tensor gradient = set.Empty((Rows, Vocabulary), type);
        Tensor chosen = set.Empty(Rows, DType.I32);
        set.Add(
            "cross-entropy",
            (sizeof(float) + type.Size()) * Logits + (sizeof(int) + sizeof(float)) * Rows,
            8 * Logits,
            () => CrossEntropy.Run(logits, targets, losses, gradient, 1f / Rows)
        );
        if (type == DType.F32)
            set.Add("arg-max", sizeof(float) * Logits + sizeof(int) * Rows, 0, () => ArgMax.Run(logits, chosen));
    }

    private static void Optimizer(KernelSet set)
    {
        Tensor parameter = set.Normal(Parameters);
        Tensor gradient = set.Normal(Parameters);
        Tensor mean = set.Zeros(Parameters);
        Tensor squares = set.Zeros(Parameters);
        Tensor norm = set.Zeros(1);
        Tensor weights = set.Own(Tensor.Zeros(set.Device, ScheduleFree.Weights, DType.F64));
        Tensor factors = set.Zeros(ScheduleFree.Factors);
        StepState state = set.Own(new StepState(set.Device));
        state.Configure(new AdamWSettings(LearningRate: 1e-3));
        double read = sizeof(float) * (double)Parameters;
        set.Add("global-norm", read, 2.0 * Parameters, () => GlobalNorm.Run([gradient], norm));
        set.Add("sum", read, Parameters, () => Sum.Run(gradient, norm));
        set.Add("advance", 0, 0, () => state.Advance(norm));
        set.Add("next-batch", 0, 0, state.NextBatch);
        set.Add(
            "adamw",
            28.0 * Parameters,
            13.0 * Parameters,
            () => AdamW.Step(parameter, gradient, mean, squares, state)
        );
        Tensor codes = set.Own(Tensor.Zeros(set.Device, AdamW8Bit.Words(Parameters), DType.I32));
        Tensor squaresCodes = set.Own(Tensor.Zeros(set.Device, AdamW8Bit.Words(Parameters), DType.I32));
        Tensor most = set.Zeros(AdamW8Bit.Blocks(Parameters));
        Tensor squaresMost = set.Zeros(AdamW8Bit.Blocks(Parameters));
        set.Add(
            "adamw-8bit",
            16.0 * Parameters + 16.0 * AdamW8Bit.Blocks(Parameters),
            13.0 * Parameters,
            () => AdamW8Bit.Step(parameter, gradient, codes, most, squaresCodes, squaresMost, state)
        );
        Tensor clipped = set.Normal(Parameters);
        Tensor above = set.Own(Tensor.From(set.Device, [1.0001f], 1));
        set.Add("clip-norm", 8.0 * Parameters, Parameters, () => ClipNorm.Run(clipped, above, 1));
        set.Add("sgd", 20.0 * Parameters, 6.0 * Parameters, () => Sgd.Step(parameter, gradient, mean, 0.9f, state));
        set.Add(
            "schedule-free",
            28.0 * Parameters,
            19.0 * Parameters,
            () => ScheduleFree.Step(parameter, gradient, mean, squares, factors, state)
        );
        set.Add("schedule-free-advance", 0, 0, () => ScheduleFree.Advance(weights, factors, state));
        set.Add("lion", 20.0 * Parameters, 11.0 * Parameters, () => Lion.Step(parameter, gradient, mean, state));
        set.Add(
            "apply-update",
            12.0 * Parameters,
            2.0 * Parameters,
            () => ApplyUpdate.Step(parameter, gradient, state)
        );
    }

    private static void MatrixOptimizers(KernelSet set)
    {
        const int Long = 1024;
        const int Short = Parameters / Long;
        const double Gram = 2.0 * Short * Short * Long;
        const double Square = 2.0 * Short * Short * Short;
        Tensor parameter = set.Normal((Long, Short));
        Tensor gradient = set.Normal((Long, Short));
        Tensor momentum = set.Zeros((Long, Short));
        Tensor rows = set.Zeros(Long);
        Tensor columns = set.Zeros(Short);
        Tensor share = set.Own(Tensor.From(set.Device, [1f], 1));
        StepState state = set.Own(new StepState(set.Device));
        state.Configure(new AdamWSettings(LearningRate: 1e-3));
        set.Add(
            "muon",
            20.0 * Parameters,
            5 * (2 * Gram + Square),
            () => Muon.Step(parameter, gradient, momentum, 0.95f, 1, state)
        );
        Tensor codes = set.Own(Tensor.Zeros(set.Device, Muon8Bit.Words(Parameters), DType.I32));
        Tensor most = set.Zeros(Muon8Bit.Blocks(Parameters));
        set.Add(
            "muon-8bit",
            14.0 * Parameters,
            5 * (2 * Gram + Square),
            () => Muon8Bit.Step(parameter, gradient, codes, most, 0.95f, 1, state)
        );
        set.Add("clip-quantile", 20.0 * Parameters, 2.0 * Parameters, () => ClipQuantile.Run(gradient, 0.9));
        set.Add(
            "adafactor",
            12.0 * Parameters + 8.0 * (Long + Short),
            13.0 * Parameters,
            () => Adafactor.Step(parameter, gradient, rows, columns, share, 1, state)
        );
        set.Add("adafactor-advance", 0, 0, () => Adafactor.Advance(share, 0.8f, state));
    }

    private static void Random(KernelSet set)
    {
        Tensor values = set.Empty(Parameters);
        double written = sizeof(float) * (double)Parameters;
        Tensor places = set.Indices(Parameters, k => k);
        StepState state = set.Own(new StepState(set.Device));
        set.Add("sample-rows", written, 3.0 * Parameters, () => SampleRows.Draw(state, 1, 4 * Parameters, places));
        Tensor strengths = set.Empty(Rows);
        foreach (DType type in KernelSet.Types)
        {
            Tensor matrix = set.Empty((Rows, Parameters / Rows), type);
            set.Add(
                $"row-noise {type}".ToLowerInvariant(),
                2.0 * type.Size() * Parameters,
                4.0 * Parameters,
                () => RowNoise.Add(state, 0, strengths, matrix)
            );
        }
        set.Add("uniform", written, 2.0 * Parameters, () => Philox.Uniform(values, 1, 1));
        set.Add("normal", written, 0, () => Philox.Normal(values, 1, 1));
    }

    private static void RandomSearches(KernelSet set)
    {
        const int Members = 4;
        Tensor parameter = set.Normal(Parameters);
        Tensor moved = set.Empty(Parameters);
        Tensor losses = set.Normal((Members, 1));
        Tensor weights = set.Normal(Members);
        Tensor two = set.Normal((2, 1));
        Tensor slope = set.Empty(1);
        StepState state = set.Own(new StepState(set.Device));
        state.Configure(new AdamWSettings(LearningRate: 1e-3));
        double read = sizeof(float) * (double)Parameters;
        set.Add(
            "perturb",
            2 * read,
            42.0 * Parameters,
            () => RandomSearch.Perturb(parameter, 1e-3f, 0, 0, state, moved)
        );
        set.Add("two-point", 0, 0, () => RandomSearch.TwoPointWeight(two, 1e-3f, state, slope));
        set.Add("population", 0, 0, () => RandomSearch.PopulationWeights(losses, 1e-3f, state, weights));
        set.Add(
            "random-step",
            2 * read,
            42.0 * Members * Parameters,
            () => RandomSearch.Step(parameter, weights, 0, state)
        );
    }

    private static void Pairs(KernelSet set)
    {
        const int Rank = 128;
        const double Square = sizeof(float) * (double)Rank * Rank;
        Tensor gram = set.Normal((Rank, Rank));
        Tensor x = set.Normal((Rank, Rank));
        Tensor y = set.Empty((Rank, Rank));
        Tensor values = set.Own(Tensor.From(set.Device, Enumerable.Repeat(1f, Rank).ToArray(), Rank));
        set.Add(
            "unless-zero",
            2 * Square + sizeof(float) * Rank,
            (double)Rank * Rank,
            () => UnlessZero.Run(gram, x, 1, y)
        );
        var args = new SylvesterArgs
        {
            T = x.Pointer,
            A = values.Pointer,
            B = values.Pointer,
            Y = y.Pointer,
            N = Rank,
        };
        int blocks = Launch.Blocks(y.Count, SylvesterArgs.Kernel.Threads);
        set.Add(
            "sylvester",
            2 * Square + sizeof(float) * Rank, // A and B have the same eigenvalues here
            2.0 * Rank * Rank,
            () => SylvesterArgs.Kernel.Launch(set.Device, args, blocks)
        );
    }
}
