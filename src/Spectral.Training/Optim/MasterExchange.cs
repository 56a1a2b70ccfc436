using Spectral.Kernels;

namespace Spectral.Training.Optim;

/// <summary>Puts other values into the masters for a while, and brings the old ones back bit for bit.</summary>
internal sealed class MasterExchange(ParameterSet parameters) : IDisposable
{
    private readonly List<Tensor> _held = []; // the masters while other values are in their place

    /// <summary>Writes other values into the masters. Disposing the returned value brings back the old ones.</summary>
    /// <param name="write">Writes the masters.</param>
    /// <exception cref="InvalidOperationException">Other values are there already.</exception>
    public IDisposable Use(Action write)
    {
        RequireUnused();
        _held.AddRange(parameters.Masters.Select(Copy));
        write();
        parameters.NotifyChanged();
        return new Exchange(this);
    }

    /// <summary>Checks that the masters hold what trains.</summary>
    /// <exception cref="InvalidOperationException">They hold other values.</exception>
    public void RequireUnused()
    {
        if (_held.Count > 0)
            throw new InvalidOperationException("the masters hold the average: dispose what Use returned first");
    }

    /// <summary>Returns a copy of a tensor.</summary>
    public static Tensor Copy(Tensor master)
    {
        var copy = Tensor.Empty(master.Device, master.Shape);
        copy.CopyFrom(master);
        return copy;
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _held)
            tensor.Dispose();
    }

    private void BringBack()
    {
        if (_held.Count == 0)
            return;
        foreach ((Tensor master, Tensor held) in parameters.Masters.Zip(_held))
        {
            master.CopyFrom(held);
            held.Dispose();
        }

        _held.Clear();
        parameters.NotifyChanged();
    }

    private sealed class Exchange(MasterExchange exchange) : IDisposable
    {
        public void Dispose() => exchange.BringBack();
    }
}
