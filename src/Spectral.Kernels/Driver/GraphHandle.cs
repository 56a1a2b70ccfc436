namespace Spectral.Kernels.Driver;

/// <summary>Owns a captured graph in its launchable form.</summary>
internal sealed unsafe class GraphHandle(DriverApi api, ContextHandle context, nint value)
    : DriverHandle(api, context, value, "graph")
{
    protected override int Free(nint value) => Api.GraphExecDestroy(value);
}
