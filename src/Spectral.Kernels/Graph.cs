using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels;

/// <summary>
/// Replays recorded work with one call. Every launch, copy and library call keeps the arguments that it had when it was
/// recorded, so values that change between replays must lie in device memory (<see cref="StepState"/>, or input tensors
/// that are filled again).
/// </summary>
/// <remarks>
/// Tensors made during the recording lie in memory that belongs to the graph: no other work gets it while the graph
/// lives, and each replay writes it again. Tensors made before, which the work uses, must live as long as the graph.
/// </remarks>
/// <example>
/// <code>
/// void Work() => Gemm.Run(x, Gemm.Transposed(weight), y);
/// Work(); // sets up cuBLAS before the capture
/// using var graph = Graph.Capture(device, Work);
/// x.CopyFrom(nextInput); // into the memory that the graph reads
/// graph.Launch();
/// </code>
/// </example>
public sealed unsafe class Graph : IDisposable
{
    // Lets other threads, a finalizer among them, and our own pool allocate and free during a capture. Replays are not
    // affected.
    private const int CaptureRelaxed = 2;

    private readonly GraphHandle _handle;
    private readonly DeviceStream _stream;

    private Graph(Device device, DeviceStream stream, GraphHandle handle, long nodes)
    {
        (Device, _stream, _handle, Nodes) = (device, stream, handle, nodes);
    }

    /// <summary>Device that the graph runs on.</summary>
    public Device Device { get; }

    /// <summary>Number of launches, copies and fills in the graph.</summary>
    public long Nodes { get; }

    /// <summary>
    /// Records the work that <paramref name="work"/> queues on the device's current stream, without running it. Run the
    /// same work once before: what kernels and libraries set up on first use would otherwise become part of every
    /// replay.
    /// </summary>
    /// <param name="device">The device to record on. No other capture may be in progress on it.</param>
    /// <param name="work">Queues the work. It may launch, copy on the device, and make and dispose tensors; it can
    /// neither read results nor copy from host memory.</param>
    /// <exception cref="InvalidOperationException">The work copied to or from the host, or a capture is in
    /// progress.</exception>
    /// <exception cref="CudaException">The driver refused a call while capturing, such as waiting for the
    /// stream.</exception>
    public static Graph Capture(Device device, Action work)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(work);
        if (device.IsCapturing)
            throw new InvalidOperationException("a graph is being captured on this device already");
        var stream = DeviceStream.Create(device);
        nint graph = 0;
        nint executable;
        try
        {
            device.Trim(); // memory cached by earlier work would be held in addition to the graph's own
            device.Reserve(stream);
            DriverApi api = device.Activate();
            api.Check(api.StreamBeginCapture(stream.Handle, CaptureRelaxed), "beginning a capture");
            bool done = false;
            try
            {
                using (device.Use(stream))
                    work();
                done = true;
            }
            finally
            {
                int status = device.Activate().StreamEndCapture(stream.Handle, &graph);
                if (done)
                    api.Check(status, "ending a capture", "api.StreamEndCapture(stream.Handle, &graph)");
            }
            nuint nodes;
            api.Check(api.GraphGetNodes(graph, null, &nodes), "counting the nodes of a graph");
            api.Check(
                api.GraphInstantiateWithFlags(&executable, graph, 0),
                $"instantiating a graph of {(long)nodes} nodes"
            );
            return new Graph(device, stream, new GraphHandle(api, device.Context, executable), (long)nodes);
        }
        catch
        {
            device.Release(stream);
            stream.Dispose();
            throw;
        }
        finally
        {
            if (graph != 0)
                device.Api.GraphDestroy(graph);
        }
    }

    /// <summary>Queues one replay on the device's current stream; allocates nothing.</summary>
    /// <exception cref="CudaException">The driver refused the launch, or earlier work failed.</exception>
    public void Launch()
    {
        DriverApi api = Device.Activate();
        api.Check(api.GraphLaunch(_handle.Value, Device.Stream.Handle), "launching a graph");
    }

    /// <summary>
    /// Waits for the current stream, then frees the graph and its memory. A second call does nothing.
    /// </summary>
    public void Dispose()
    {
        if (_handle.IsClosed)
            return;
        if (!Device.IsDisposed) // other work may get its memory only after the last replay
            Device.Activate().StreamSynchronize(Device.Stream.Handle);
        _handle.Dispose();
        Device.Release(_stream);
        _stream.Dispose();
    }
}
