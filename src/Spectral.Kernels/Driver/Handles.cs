using System.Runtime.InteropServices;

namespace Spectral.Kernels.Driver;

/// <summary>
/// Owns a driver object. It holds a counted reference to its context, so that the context outlives it whatever the
/// order of disposal. Release never throws, since it may run on the finalizer thread.
/// </summary>
internal abstract class DriverHandle : SafeHandle
{
    private readonly ContextHandle? _context;
    private readonly string _kind;

    protected DriverHandle(DriverApi api, ContextHandle? context, nint value, string kind)
        : base(0, ownsHandle: true)
    {
        Api = api;
        _kind = kind;
        if (context is not null)
        {
            bool added = false;
            context.DangerousAddRef(ref added);
            _context = context;
        }
        SetHandle(value);
        LiveObjects.Add(kind, 1);
    }

    protected DriverApi Api { get; }

    /// <summary>Always false: the handle of the default stream is 0, and valid.</summary>
    public sealed override bool IsInvalid => false;

    /// <summary>Handle as the driver knows it.</summary>
    public nint Value => IsClosed ? throw new ObjectDisposedException(_kind) : handle;

    protected abstract int Free(nint value);

    protected sealed override unsafe bool ReleaseHandle()
    {
        if (_context is not null)
            Api.CtxSetCurrent(_context.DangerousGetHandle());
        int status = Free(handle);
        _context?.DangerousRelease();
        LiveObjects.Add(_kind, -1);
        return status == 0;
    }
}

/// <summary>
/// Owns a context: the primary one of a device, which is retained, or one of other code, which is left alone.
/// </summary>
internal sealed unsafe class ContextHandle : DriverHandle
{
    private readonly int _device;
    private readonly bool _borrowed;

    private ContextHandle(DriverApi api, nint value, int device, bool borrowed)
        : base(api, null, value, "context")
    {
        _device = device;
        _borrowed = borrowed;
    }

    public static ContextHandle RetainPrimary(DriverApi api, int device)
    {
        nint context;
        api.Check(api.DevicePrimaryCtxRetain(&context, device), $"opening device {device}");
        return new ContextHandle(api, context, device, borrowed: false);
    }

    public static ContextHandle Borrow(DriverApi api, nint context, int device) =>
        new(api, context, device, borrowed: true);

    protected override int Free(nint value) => _borrowed ? 0 : Api.DevicePrimaryCtxRelease(_device);
}

internal sealed unsafe class CudaModuleHandle(DriverApi api, ContextHandle context, nint value)
    : DriverHandle(api, context, value, "module")
{
    protected override int Free(nint value) => Api.ModuleUnload(value);
}

internal sealed unsafe class StreamHandle(DriverApi api, ContextHandle context, nint value, bool owned)
    : DriverHandle(api, context, value, "stream")
{
    protected override int Free(nint value) => owned ? Api.StreamDestroy(value) : 0;
}

internal sealed unsafe class GraphHandle(DriverApi api, ContextHandle context, nint value)
    : DriverHandle(api, context, value, "graph")
{
    protected override int Free(nint value) => Api.GraphExecDestroy(value);
}

internal sealed unsafe class EventHandle(DriverApi api, ContextHandle context, nint value)
    : DriverHandle(api, context, value, "event")
{
    protected override int Free(nint value) => Api.EventDestroy(value);
}
