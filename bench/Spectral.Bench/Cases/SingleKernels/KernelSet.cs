using Spectral.Kernels;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>A scenario of ops that are counted, each a variant, and the tensors that they run on.</summary>
internal sealed class KernelSet(Machine machine)
{
    /// <summary>The storage types that most kernels come in.</summary>
    public static IReadOnlyList<DType> Types { get; } = [DType.F32, DType.BF16];

    public Scenario Scenario { get; } = new();

    public Device Device => machine.Device;

    public Machine Machine => machine;

    /// <summary>Makes a plan whose scenario is filled when it is prepared.</summary>
    public static Plan Plan(Machine machine, string shape, Action<KernelSet> fill) =>
        new(
            shape,
            () =>
            {
                var set = new KernelSet(machine);
                fill(set);
                return set.Scenario;
            }
        );

    /// <summary>Makes a plan for each storage type.</summary>
    public static IEnumerable<Plan> Plans(Machine machine, string shape, Action<KernelSet, DType> fill) =>
        Types.Select(type => Plan(machine, $"{shape} {type.ToString().ToLowerInvariant()}", set => fill(set, type)));

    public T Own<T>(T owned)
        where T : IDisposable => Scenario.Own(owned);

    public Tensor Normal(Shape shape, DType type = DType.F32) => Own(machine.Normal(shape, type));

    public Tensor Zeros(Shape shape, DType type = DType.F32) => Own(Tensor.Zeros(Device, shape, type));

    public Tensor Empty(Shape shape, DType type = DType.F32) => Own(Tensor.Empty(Device, shape, type));

    public Tensor Indices(int count, Func<int, int> value) =>
        Own(Tensor.From(Device, Enumerable.Range(0, count).Select(value).ToArray(), count));

    /// <summary>Adds an op.</summary>
    /// <param name="name">Unique in the scenario.</param>
    /// <param name="bytes">Each input read once, each output written once.</param>
    /// <param name="flops">Operations of the kernel's contract.</param>
    /// <param name="run">Launches it.</param>
    public void Add(string name, double bytes, double flops, Action run) =>
        Scenario.Variants.Add(
            new Variant(name, _ => run())
            {
                Bytes = bytes,
                Flops = flops,
                Check = () => null, // nothing is timed
            }
        );
}
