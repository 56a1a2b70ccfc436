using System.Numerics;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Caches device memory by stream. A block that is returned is handed out again on the same stream, where the driver's
/// own order makes the reuse safe without waiting. Size classes are an eighth of a power of two apart, so at most 1/8
/// of a block is wasted. Memory of a reserved stream, on which a graph was captured, stays with the stream: replays use
/// it again.
/// </summary>
internal sealed unsafe class MemoryPool(DriverApi api, ContextHandle context, string deviceName, bool bypass)
    : IDisposable
{
    private const int GranuleBits = 9;
    private const int StepBits = 3; // the smallest class is 512 bytes; 8 classes per power of two
    private const int Reach = 4; // a cached block may be up to 4 classes too large: at most 1.5 times the size

    private readonly Dictionary<DeviceStream, Stack<MemoryBlock>?[]> _free = [];

    // Streams that keep their memory. Where the pool is bypassed, each has the blocks that it must not free yet.
    private readonly Dictionary<DeviceStream, List<MemoryBlock>> _reserved = [];
    private readonly Lock _lock = new();
    private bool _disposed;

    public DeviceMemory Memory { get; } = new();

    public MemoryBlock Allocate(long bytes, DeviceStream stream)
    {
        int sizeClass = ClassOf(bytes);
        return Take(sizeClass, stream) ?? Create(bypass ? bytes : SizeOf(sizeClass), sizeClass, stream);
    }

    /// <summary>
    /// Allocates memory that a library uses and no tensor holds. It counts as cached until whoever asked disposes it.
    /// </summary>
    public MemoryHandle Keep(long bytes, DeviceStream stream, out ulong pointer)
    {
        MemoryBlock block = Allocate(bytes, stream);
        lock (_lock)
        {
            block.Handle!.Cached = true;
            Interlocked.Add(ref Memory.InUseBytes, -block.Size);
            Interlocked.Add(ref Memory.CachedBytes, block.Size);
        }
        pointer = block.Pointer;
        return block.Handle;
    }

    public bool IsReserved(DeviceStream stream)
    {
        lock (_lock)
            return _reserved.ContainsKey(stream);
    }

    public void Reserve(DeviceStream stream)
    {
        lock (_lock)
            _reserved.Add(stream, []);
    }

    /// <summary>
    /// Returns the memory of a reserved stream to the driver; memory that tensors still hold follows when they are
    /// disposed.
    /// </summary>
    public void Release(DeviceStream stream)
    {
        lock (_lock)
        {
            if (_reserved.Remove(stream, out List<MemoryBlock>? held))
                held.ForEach(block => block.Handle!.Dispose());
            if (!_free.Remove(stream, out Stack<MemoryBlock>?[]? bins))
                return;
            foreach (MemoryBlock block in bins.OfType<Stack<MemoryBlock>>().SelectMany(bin => bin))
                block.Handle!.Dispose();
        }
    }

    public void Return(MemoryBlock block)
    {
        lock (_lock)
        {
            if (bypass && _reserved.TryGetValue(block.Stream!, out List<MemoryBlock>? held))
            {
                held.Add(block);
                block.Handle!.Cached = true;
                Interlocked.Add(ref Memory.InUseBytes, -block.Size);
                Interlocked.Add(ref Memory.CachedBytes, block.Size);
                return;
            }
            if (!bypass && !_disposed && !block.Stream!.IsDisposed)
            {
                if (!_free.TryGetValue(block.Stream!, out Stack<MemoryBlock>?[]? bins))
                    _free[block.Stream!] = bins = new Stack<MemoryBlock>?[64 << StepBits];
                (bins[block.SizeClass] ??= new Stack<MemoryBlock>()).Push(block);
                block.Handle!.Cached = true;
                Interlocked.Add(ref Memory.InUseBytes, -block.Size);
                Interlocked.Add(ref Memory.CachedBytes, block.Size);
                return;
            }
        }
        block.Handle!.Dispose();
    }

    /// <summary>Returns every cached block to the driver, except those of reserved streams.</summary>
    public void Trim()
    {
        lock (_lock)
        {
            foreach (DeviceStream stream in _free.Keys.Where(stream => !_reserved.ContainsKey(stream)).ToArray())
                Release(stream);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            foreach (DeviceStream stream in _free.Keys.Concat(_reserved.Keys).Distinct().ToArray())
                Release(stream);
        }
    }

    internal static int ClassOf(long bytes)
    {
        long granules = Math.Max(1, (bytes + (1 << GranuleBits) - 1) >> GranuleBits);
        if (granules <= 1 << StepBits)
            return (int)granules;
        int shift = BitOperations.Log2((ulong)granules) - StepBits;
        long steps = (granules + (1L << shift) - 1) >> shift; // 8 to 16
        return (int)((long)shift << StepBits) + (int)steps;
    }

    internal static long SizeOf(int sizeClass)
    {
        if (sizeClass <= 1 << StepBits)
            return (long)sizeClass << GranuleBits;
        int shift = (sizeClass - 1 >> StepBits) - 1;
        return (long)(sizeClass - (shift << StepBits)) << shift + GranuleBits;
    }

    private MemoryBlock? Take(int sizeClass, DeviceStream stream)
    {
        lock (_lock)
        {
            if (!_free.TryGetValue(stream, out Stack<MemoryBlock>?[]? bins))
                return null;
            for (int c = sizeClass; c <= sizeClass + Reach; c++)
            {
                if (bins[c] is { Count: > 0 } bin)
                {
                    MemoryBlock block = bin.Pop();
                    block.Reuse();
                    block.Handle!.Cached = false;
                    Interlocked.Add(ref Memory.CachedBytes, -block.Size);
                    Memory.Use(block.Size);
                    return block;
                }
            }

            return null;
        }
    }

    private MemoryBlock Create(long size, int sizeClass, DeviceStream stream)
    {
        ulong pointer;
        api.Check(api.CtxSetCurrent(context.Value), "allocating device memory");
        int status = Ask(&pointer, size);
        if (status == DriverApi.OutOfMemory && Memory.Cached > 0)
        {
            Trim();
            status = Ask(&pointer, size);
        }
        if (status == DriverApi.OutOfMemory)
            throw OutOfMemory(size);
        api.Check(status, $"allocating {size:N0} bytes on {deviceName}", "api.MemAlloc(&pointer, size)");
        Memory.Use(size);
        return new MemoryBlock(
            this,
            new MemoryHandle(api, context, pointer, size, Memory),
            pointer,
            size,
            sizeClass,
            stream
        );
    }

    private int Ask(ulong* pointer, long size) =>
        Memory.Exceeds(size) ? DriverApi.OutOfMemory : api.MemAlloc(pointer, (nuint)size);

    private OutOfDeviceMemoryException OutOfMemory(long size)
    {
        nuint free = 0;
        nuint total = 0;
        api.MemGetInfo(&free, &total);
        if (Memory.Limit is { } limit)
        {
            total = (nuint)Math.Min(limit, (long)total);
            free = (nuint)Math.Clamp(limit - Memory.InUse - Memory.Cached, 0, (long)free);
        }

        return new OutOfDeviceMemoryException(
            "cuMemAlloc(&pointer, size)",
            DriverApi.OutOfMemory,
            "CUDA_ERROR_OUT_OF_MEMORY",
            "",
            $"allocating {size:N0} bytes on {deviceName} ({Memory.InUse:N0} in use by tensors, "
                + $"{(long)free:N0} of {(long)total:N0} free)"
        )
        {
            Device = deviceName,
            Requested = size,
            InUse = Memory.InUse,
            Free = (long)free,
            Total = (long)total,
            IsLimited = Memory.Limit == (long)total,
        };
    }
}
