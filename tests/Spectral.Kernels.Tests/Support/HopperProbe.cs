using System.Runtime.InteropServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Tests.Support;

/// <summary>Arguments of the kernels that try one Hopper instruction each.</summary>
[StructLayout(LayoutKind.Sequential, Size = 320)]
public struct HopperProbeArgs
{
    /// <summary>Describes the probes of one block each.</summary>
    public static readonly KernelEntry<HopperProbeArgs> Single = new(
        "hopper_probe_sm90",
        128,
        "hopper_probe_load",
        "hopper_probe_store",
        "hopper_probe_stmatrix",
        "hopper_probe_product",
        "hopper_probe_product_depth_rows"
    )
    {
        SharedBytes = SharedBytes,
    };

    /// <summary>Describes the probe of a cluster.</summary>
    public static readonly KernelEntry<HopperProbeArgs> Multicast = new(
        "hopper_probe_sm90",
        128,
        "hopper_probe_multicast"
    )
    {
        ClusterBlocks = 2,
        SharedBytes = SharedBytes,
    };

    private const int SharedBytes = 5 * 8192 + 1024;

    /// <summary>The matrix that is loaded or stored; A of a product.</summary>
    public TensorMap A;

    /// <summary>B of a product.</summary>
    public TensorMap B;

    /// <summary>Where the dump goes.</summary>
    public ulong Out;

    /// <summary>The box's first column.</summary>
    public int X;

    /// <summary>The box's first row.</summary>
    public int Y;
}

/// <summary>
/// Runs one Hopper instruction (<c>load</c>, <c>store</c>, <c>stmatrix</c>, <c>product</c>, <c>product_depth_rows</c>,
/// <c>multicast</c>) on a matrix (or its first <c>width</c> columns) in 64 × 64 boxes, so that what a GPU lays out can
/// be compared with what the CPU device does.
/// </summary>
internal static class HopperProbe
{
    private const int BoxRows = 64;

    public static void Run(string probe, Tensor a, Tensor b, Tensor dump, int x = 0, int y = 0, int? width = null)
    {
        Device device = a.Device;
        var args = new HopperProbeArgs
        {
            A = TensorMap.Encode(device, a.Pointer, a.Dim(0), width ?? a.Dim(1), a.Dim(1), BoxRows),
            B = TensorMap.Encode(device, b.Pointer, b.Dim(0), b.Dim(1), b.Dim(1), BoxRows),
            Out = dump.Pointer,
            X = x,
            Y = y,
        };
        string name = "hopper_probe_" + probe;
        int choice = Array.IndexOf([.. HopperProbeArgs.Single.Names], name);
        if (choice >= 0)
            HopperProbeArgs.Single.Launch(device, choice, args, 1);
        else
            HopperProbeArgs.Multicast.Launch(device, args, HopperProbeArgs.Multicast.ClusterBlocks);
    }
}
