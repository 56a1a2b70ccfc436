namespace Spectral.Kernels;

/// <summary>
/// Describes the kernels of one family: where they are found, and what a launch of them needs besides its arguments and
/// grid. The descriptors are static fields of the argument structs in <see cref="Interop"/>.
/// </summary>
/// <remarks>The native side reports the same facts, and a test compares them.</remarks>
public abstract class KernelEntry
{
    private static int _slots;
    private readonly string[] _names;

    private protected KernelEntry(string module, int threads, string[] names)
    {
        Module = module;
        Threads = threads;
        _names = names;
        Slot = Interlocked.Add(ref _slots, names.Length) - names.Length;
    }

    /// <summary>The .cu file's name without its ending, also the name of its PTX.</summary>
    public string Module { get; }

    /// <summary>
    /// The entry points, which take the argument struct by value: one, or one per element type (F32, then BF16), or one
    /// per function as the descriptor says.
    /// </summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>
    /// Threads per block: the most that the kernels may be launched with, and what they get by default.
    /// </summary>
    public int Threads { get; }

    /// <summary>Neighbouring blocks along x that form a cluster; the grid is a multiple of it.</summary>
    public int ClusterBlocks { get; init; } = 1;

    /// <summary>
    /// Bytes of static shared memory that an op must leave room for, up to the 1,024-byte boundary on which dynamic
    /// shared memory begins.
    /// </summary>
    public int StaticSharedBytes { get; init; }

    /// <summary>Bytes of dynamic shared memory per block; null where they depend on the arguments.</summary>
    public abstract int? ConstantSharedBytes { get; }

    /// <summary>Size of the argument struct in bytes.</summary>
    public abstract int ArgumentBytes { get; }

    /// <summary>The argument struct.</summary>
    public abstract Type ArgumentType { get; }

    /// <summary>Index of the first name in each device's table of loaded kernels.</summary>
    internal int Slot { get; }

    /// <summary>Name of one of the entry points.</summary>
    /// <exception cref="ArgumentException">There is no such entry.</exception>
    internal string NameOf(int choice) =>
        (uint)choice < (uint)_names.Length
            ? _names[choice]
            : throw new ArgumentException(
                $"entry {choice} of {Module} for {ArgumentType.Name}, expected 0 to {_names.Length - 1} "
                    + $"({string.Join(", ", _names)})",
                nameof(choice)
            );
}

/// <inheritdoc/>
/// <typeparam name="TArgs">The argument struct, laid out as its native twin.</typeparam>
public sealed unsafe class KernelEntry<TArgs> : KernelEntry
    where TArgs : unmanaged
{
    internal KernelEntry(string module, int threads, params string[] names)
        : base(module, threads, names) { }

    /// <summary>Computes the bytes of dynamic shared memory per block from a launch's arguments.</summary>
    internal delegate int SharedBytesFunction(in TArgs args);

    /// <summary>Bytes of dynamic shared memory per block, where they are constant.</summary>
    public int SharedBytes { get; init; }

    /// <summary>Computes them where they are not.</summary>
    internal SharedBytesFunction? SharedBytesOf { get; init; }

    /// <inheritdoc/>
    public override int? ConstantSharedBytes => SharedBytesOf is null ? SharedBytes : null;

    /// <inheritdoc/>
    public override int ArgumentBytes => sizeof(TArgs);

    /// <inheritdoc/>
    public override Type ArgumentType => typeof(TArgs);

    /// <summary>Queues a launch of the only kernel on the device's current stream; allocates nothing.</summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="args">Its argument.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="threads">Threads per block; 0: <see cref="KernelEntry.Threads"/>.</param>
    /// <exception cref="ArgumentException">The arguments' size or the threads do not fit the kernel.</exception>
    /// <exception cref="Driver.CudaException">The driver refused the launch, or an earlier one failed.</exception>
    public void Launch(Device device, in TArgs args, Grid grid, int threads = 0) =>
        Launch(device, 0, args, grid, threads);

    /// <summary>
    /// Queues a launch of the kernel for an element type on the device's current stream; allocates nothing.
    /// </summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="type">F32 or BF16.</param>
    /// <param name="args">Its argument.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="threads">Threads per block; 0: <see cref="KernelEntry.Threads"/>.</param>
    /// <inheritdoc cref="Launch(Device, in TArgs, Grid, int)"/>
    public void Launch(Device device, DType type, in TArgs args, Grid grid, int threads = 0) =>
        Launch(device, type == DType.F32 ? 0 : 1, args, grid, threads);

    /// <summary>
    /// Queues a launch of one of <see cref="KernelEntry.Names"/> on the device's current stream; allocates nothing.
    /// </summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="choice">Index of the name.</param>
    /// <param name="args">Its argument.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="threads">Threads per block; 0: <see cref="KernelEntry.Threads"/>.</param>
    /// <inheritdoc cref="Launch(Device, in TArgs, Grid, int)"/>
    public void Launch(Device device, int choice, in TArgs args, Grid grid, int threads = 0) =>
        device
            .Kernel(this, choice)
            .Launch(args, grid, threads == 0 ? Threads : threads, SharedBytesOf?.Invoke(args) ?? SharedBytes);
}
