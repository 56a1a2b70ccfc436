using System.Diagnostics.CodeAnalysis;

namespace Spectral.Kernels;

/// <summary>
/// Describes a family of kernels: where they are found, and what a launch needs besides the arguments and the grid. The
/// descriptors are static fields of the argument structs in <see cref="Interop"/>.
/// </summary>
/// <remarks>
/// The native code reports the same facts, and tests compare the two: static shared memory with what the PTX assembler
/// prints, for the CPU device's compiler does not say it per kernel; the others with what the kernel registers.
/// </remarks>
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

    /// <summary>Name of the .cu file without its ending, which is also the name of its PTX.</summary>
    public string Module { get; }

    /// <summary>
    /// Names of the entry points, which take the argument struct by value: one, or one per element type (F32, then
    /// BF16), or one per function, as the descriptor says.
    /// </summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>Number of threads per block: the most that the kernels may be launched with, and the default.</summary>
    public int Threads { get; }

    /// <summary>Number of neighbouring blocks along x that form a cluster; the grid must be a multiple of it.</summary>
    public int ClusterBlocks { get; init; } = 1;

    /// <summary>
    /// Static shared memory of a block in bytes. If the kernel has dynamic shared memory too, it is rounded up to the
    /// 1,024-byte boundary at which that begins; an op must leave room for it.
    /// </summary>
    public int StaticSharedBytes { get; init; }

    /// <summary>Dynamic shared memory per block in bytes; null if it depends on the arguments.</summary>
    public abstract int? ConstantSharedBytes { get; }

    /// <summary>Size of the argument struct in bytes.</summary>
    public abstract int ArgumentBytes { get; }

    /// <summary>Type of the argument struct.</summary>
    public abstract Type ArgumentType { get; }

    /// <summary>Index of the first entry point in each device's table of loaded kernels.</summary>
    internal int Slot { get; }

    /// <summary>Returns the name of one of the entry points.</summary>
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
public sealed unsafe class KernelEntry<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs> : KernelEntry
    where TArgs : unmanaged
{
    internal KernelEntry(string module, int threads, params string[] names)
        : base(module, threads, names) { }

    /// <summary>Computes the dynamic shared memory per block, in bytes, from the arguments of a launch.</summary>
    internal delegate int SharedBytesFunction(in TArgs args);

    /// <summary>Dynamic shared memory per block in bytes, if it is constant.</summary>
    public int SharedBytes { get; init; }

    /// <summary>
    /// Function that computes the dynamic shared memory per block if it is not constant; null if it is.
    /// </summary>
    internal SharedBytesFunction? SharedBytesOf { get; init; }

    /// <inheritdoc/>
    public override int? ConstantSharedBytes => SharedBytesOf is null ? SharedBytes : null;

    /// <inheritdoc/>
    public override int ArgumentBytes => sizeof(TArgs);

    /// <inheritdoc/>
    public override Type ArgumentType => typeof(TArgs);

    /// <summary>Queues a launch of a family's only kernel on the device's current stream; allocates nothing.</summary>
    /// <param name="device">The device to run on.</param>
    /// <param name="args">The kernel's single argument.</param>
    /// <param name="grid">Number of blocks in each dimension.</param>
    /// <param name="threads">Number of threads per block; 0 for <see cref="KernelEntry.Threads"/>.</param>
    /// <exception cref="ArgumentException">The arguments' size or the threads do not fit the kernel.</exception>
    /// <exception cref="Driver.CudaException">The driver refused the launch, or an earlier one failed.</exception>
    public void Launch(Device device, in TArgs args, Grid grid, int threads = 0) =>
        Launch(device, 0, args, grid, threads);

    /// <summary>
    /// Queues a launch of the kernel for one element type on the device's current stream; allocates nothing.
    /// </summary>
    /// <param name="device">The device to run on.</param>
    /// <param name="type">F32 or BF16.</param>
    /// <param name="args">The kernel's single argument.</param>
    /// <param name="grid">Number of blocks in each dimension.</param>
    /// <param name="threads">Number of threads per block; 0 for <see cref="KernelEntry.Threads"/>.</param>
    /// <inheritdoc cref="Launch(Device, in TArgs, Grid, int)"/>
    public void Launch(Device device, DType type, in TArgs args, Grid grid, int threads = 0) =>
        Launch(device, type == DType.F32 ? 0 : 1, args, grid, threads);

    /// <summary>
    /// Queues a launch of one of <see cref="KernelEntry.Names"/> on the device's current stream; allocates nothing.
    /// </summary>
    /// <param name="device">The device to run on.</param>
    /// <param name="choice">Index in <see cref="KernelEntry.Names"/>.</param>
    /// <param name="args">The kernel's single argument.</param>
    /// <param name="grid">Number of blocks in each dimension.</param>
    /// <param name="threads">Number of threads per block; 0 for <see cref="KernelEntry.Threads"/>.</param>
    /// <inheritdoc cref="Launch(Device, in TArgs, Grid, int)"/>
    public void Launch(Device device, int choice, in TArgs args, Grid grid, int threads = 0) =>
        device
            .Kernel(this, choice)
            .Launch(args, grid, threads == 0 ? Threads : threads, SharedBytesOf?.Invoke(args) ?? SharedBytes);
}
