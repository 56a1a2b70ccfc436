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
