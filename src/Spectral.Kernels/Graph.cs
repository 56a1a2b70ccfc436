using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels;

/// <summary>
/// Work recorded once and replayed with one call: every launch, copy and library call with the arguments it had when it
/// was recorded. What changes between replays must therefore lie in device memory (<see cref="StepState"/>, input
/// tensors that are filled anew).
/// </summary>
/// <remarks>
/// Tensors made while recording live in memory of the graph's own, which nothing else is given as long as the graph
/// lives: a replay writes it again. Tensors from before that the work uses must live as long as the graph.
/// </remarks>
public sealed unsafe class Graph : IDisposable
{
    // Other threads, a finalizer among them, and our own pool may allocate and free while this one records: a replay is
    // not affected.
    private const int CaptureRelaxed = 2;

    private readonly GraphHandle _handle;
    private readonly DeviceStream _stream;

    private Graph(Device device, DeviceStream stream, GraphHandle handle, long nodes)
    {
        (Device, _stream, _handle, Nodes) = (device, stream, handle, nodes);
    }

    /// <summary>The device it runs on.</summary>
    public Device Device { get; }

    /// <summary>Launches, copies and fills in it.</summary>
    public long Nodes { get; }

    /// <summary>
    /// Records what <paramref name="work"/> queues on the device's current stream, without running it. Kernels and
    /// libraries that the work uses should have run before: what they set up on first use can take part in a replay
    /// otherwise.
    /// </summary>
    /// <param name="device">The device; no other capture is under way on it.</param>
    /// <param name="work">May launch, copy on the device, make and dispose tensors. It can neither read results nor
    /// copy from host memory.</param>
    /// <exception cref="InvalidOperationException">The work copied to or from the host, or a capture is under
    /// way.</exception>
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
            device.Trim(); // what earlier work left for reuse would stand beside the graph's own memory
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

    /// <summary>Queues the work on the device's current stream; allocates nothing.</summary>
    /// <exception cref="CudaException">The driver refused the launch, or earlier work failed.</exception>
    public void Launch()
    {
        DriverApi api = Device.Activate();
        api.Check(api.GraphLaunch(_handle.Value, Device.Stream.Handle), "launching a graph");
    }

    /// <summary>Gives the graph and its memory back, after its work. A second call does nothing.</summary>
    public void Dispose()
    {
        if (_handle.IsClosed)
            return;
        if (!Device.IsDisposed) // its memory may go to others only after the last replay
            Device.Activate().StreamSynchronize(Device.Stream.Handle);
        _handle.Dispose();
        Device.Release(_stream);
        _stream.Dispose();
    }
}
