namespace Spectral.Kernels.Driver;

/// <summary>Owns an event of the driver.</summary>
internal sealed unsafe class EventHandle(DriverApi api, ContextHandle context, nint value)
    : DriverHandle(api, context, value, "event")
{
    protected override int Free(nint value) => Api.EventDestroy(value);
}
