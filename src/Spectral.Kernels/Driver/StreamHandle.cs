namespace Spectral.Kernels.Driver;

/// <summary>Owns a stream, unless it was made by other code and is only borrowed.</summary>
internal sealed unsafe class StreamHandle(DriverApi api, ContextHandle context, nint value, bool owned)
    : DriverHandle(api, context, value, "stream")
{
    /// <summary>Whether the stream is destroyed with this object.</summary>
    public bool IsOwned => owned;

    protected override int Free(nint value) => owned ? Api.StreamDestroy(value) : 0;
}
