using System.Globalization;
using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Kernels.Driver;
using Spectral.Training.IO;

namespace Spectral.Bench.Counting;

/// <summary>A kernel of a PTX file with its arguments on the CPU device, for one counted launch.</summary>
internal sealed unsafe partial class OwnKernel : IDisposable
{
    private const int ChunkBytes = 1 << 24; // of what is copied at a time

    private readonly Device _device;
    private readonly DriverApi _api;
    private readonly KernelModule _module;
    private readonly Kernel _kernel;
    private readonly ArgumentSpec[] _specs;
    private readonly ulong[] _buffers;

    /// <summary>Loads the kernel and makes its buffers.</summary>
    /// <param name="path">The PTX file, or a fatbin with PTX in it.</param>
    /// <param name="entry">The entry point.</param>
    /// <param name="specs">The kernel's arguments in order.</param>
    /// <exception cref="UsageException">
    /// The file holds no PTX, it has no such kernel, or the arguments are not those of the kernel.
    /// </exception>
    /// <exception cref="CudaException">The PTX cannot be loaded.</exception>
    public OwnKernel(string path, string entry, ArgumentSpec[] specs)
    {
        _specs = specs;
        _buffers = new ulong[specs.Length];
        // Kernels of this library are none of its business: the device runs any PTX. One thread runs the blocks in
        // order, so that of several faults, or sums of atomic operations, the same comes out every time.
        _device = Device.Cpu(
            new CpuDeviceOptions
            {
                Kernels = CpuKernels.Source,
                Profile = ProfileFor(path),
                Threads = 1,
            }
        );
        _api = _device.Activate();
        _api.SetCpuOption("check", 1); // guard zones keep buffers apart
        try
        {
            _module = Load(path);
            if (_module.Entries is { } entries && !entries.Contains(entry))
            {
                throw new UsageException(
                    $"--entry \"{entry}\": {path} has {(entries.Count > 0 ? string.Join(", ", entries) : "no kernels")}"
                );
            }
            _kernel = _module.GetKernel(entry);
            CheckArguments(path);
            for (int i = 0; i < specs.Length; i++)
            {
                if (specs[i].IsBuffer)
                    _buffers[i] = MakeBuffer(specs[i]);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Runs the kernel once and returns what was counted.</summary>
    /// <exception cref="UsageException">The kernel takes no blocks of this size.</exception>
    /// <exception cref="CudaException">The kernel was refused, or failed.</exception>
    /// <param name="grid">Number of blocks.</param>
    /// <param name="block">Number of threads of a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="multiprocessors">How many take the blocks of the launch.</param>
    public CountedLaunch Launch(Grid grid, Block block, int sharedBytes, int multiprocessors)
    {
        byte[] arguments = new byte[_kernel.ArgumentBytes!.Value];
        for (int i = 0; i < _specs.Length; i++)
        {
            Span<byte> destination = arguments.AsSpan(_kernel.Parameters![i].Offset);
            if (_specs[i].IsBuffer)
                BitConverter.TryWriteBytes(destination, _buffers[i]);
            else
                _specs[i].Value.CopyTo(destination);
        }
        using var counting = new Counting(_device, multiprocessors);
        try
        {
            _kernel.Launch(arguments, grid, block, sharedBytes);
        }
        catch (ArgumentException error)
        {
            throw new UsageException(TextOf(error));
        }
        return counting.Launches()[^1];
    }

    /// <summary>The number of the argument at a byte offset of the kernel's parameters.</summary>
    public int ArgumentAt(int offset) => _kernel.Parameters!.Count(parameter => parameter.Offset <= offset) - 1;

    /// <summary>Writes a buffer to a file, which appears whole or not at all.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public void Dump(int argument, string path) =>
        AtomicFile.Write(
            path,
            stream =>
            {
                byte[] chunk = new byte[Math.Min(ChunkBytes, _specs[argument].BufferBytes)];
                for (long at = 0; at < _specs[argument].BufferBytes; at += chunk.Length)
                {
                    int n = (int)Math.Min(chunk.Length, _specs[argument].BufferBytes - at);
                    fixed (byte* to = chunk)
                    {
                        _api.Check(
                            _api.MemcpyDtoHAsync(to, _buffers[argument] + (ulong)at, (nuint)n, 0),
                            $"reading argument {argument}"
                        );
                        _device.Synchronize();
                    }
                    stream.Write(chunk, 0, n);
                }
            }
        );

    public void Dispose()
    {
        foreach (ulong buffer in _buffers.Where(buffer => buffer != 0))
            _ = _api.MemFree(buffer); // refused after a kernel has failed; the process ends then
        _module?.Dispose();
        _api.SetCpuOption("check", 0);
        _device.Dispose();
    }

    // The CPU device itself has compute capability 9.0.
    private static CpuProfile ProfileFor(string path)
    {
        Match target = TargetDirective().Match(File.ReadAllText(path));
        return target.Success && int.Parse(target.Groups[1].ValueSpan, CultureInfo.InvariantCulture) >= 100
            ? CpuProfile.B200
            : CpuProfile.None;
    }

    [GeneratedRegex(@"^\s*\.target\s+sm_(\d{1,4})", RegexOptions.Multiline)]
    private static partial Regex TargetDirective();

    private static string TextOf(ArgumentException error) =>
        error.Message.Replace($" (Parameter '{error.ParamName}')", "");

    private KernelModule Load(string path)
    {
        try
        {
            return KernelModule.LoadFile(_device, path);
        }
        catch (ArgumentException error)
        {
            throw new UsageException(TextOf(error));
        }
    }

    private void CheckArguments(string path)
    {
        IReadOnlyList<string> types =
            _kernel.ParameterTypes ?? throw new UsageException($"{path}: not PTX, but compiled for the CPU device");
        if (types.Count != _specs.Length)
        {
            throw new UsageException(
                $"kernel {_kernel.Name} takes {types.Count} arguments "
                    + $"({string.Join(", ", types.Select(type => "." + type))}), found {_specs.Length}"
            );
        }
        for (int i = 0; i < types.Count; i++)
        {
            if (!_specs[i].ParameterTypes.Contains(types[i]))
            {
                throw new UsageException(
                    $"--arg \"{_specs[i].Text}\": argument {i} of kernel {_kernel.Name} is .{types[i]}, which takes "
                        + Takers(types[i])
                );
            }
        }
    }

    private static string Takers(string parameter)
    {
        IEnumerable<string> takers = ElementType
            .All.Values.Where(type => type.ParameterTypes.Contains(parameter))
            .Select(type => type.Name);
        if (ElementType.AddressTypes.Contains(parameter))
            takers = takers.Append("buf");
        return takers.Any() ? string.Join(", ", takers) : "no SPEC";
    }

    private ulong MakeBuffer(ArgumentSpec spec)
    {
        ulong address;
        _api.Check(_api.MemAlloc(&address, (nuint)spec.BufferBytes), $"allocating {spec.Text}");
        byte[] chunk = new byte[Math.Min(ChunkBytes, spec.BufferBytes)];
        for (long at = 0; at < spec.BufferBytes; at += chunk.Length)
        {
            int n = (int)Math.Min(chunk.Length, spec.BufferBytes - at);
            spec.Write(at / spec.Type.Bytes, chunk.AsSpan(0, n));
            fixed (byte* from = chunk)
            {
                _api.Check(_api.MemcpyHtoDAsync(address + (ulong)at, from, (nuint)n, 0), $"filling {spec.Text}");
                _device.Synchronize();
            }
        }
        return address;
    }
}
