namespace Spectral.Kernels.Driver;

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
