using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>A <see cref="Batch"/> on the device: all tokens, and which rows carry loss with what target.</summary>
public sealed class BatchTensors : IDisposable
{
    /// <summary>Copies the batch to the device.</summary>
    public BatchTensors(Device device, Batch batch)
    {
        Source = batch;
        var rows = new int[batch.LossTokens];
        var targets = new int[batch.LossTokens];
        for (int i = 0, n = 0; i < batch.Targets.Length; i++)
        {
            if (batch.Targets[i] < 0)
                continue;
            (rows[n], targets[n]) = (i, batch.Targets[i]);
            n++;
        }
        Tokens = Tensor.From(device, batch.Tokens, batch.Tokens.Length);
        LossRows = Tensor.From(device, rows, rows.Length);
        LossTargets = Tensor.From(device, targets, targets.Length);
    }

    /// <summary>The batch on the host.</summary>
    public Batch Source { get; }

    /// <summary>[B·S] I32.</summary>
    public Tensor Tokens { get; }

    /// <summary>[K] I32: positions in B·S whose next token carries loss, ascending.</summary>
    public Tensor LossRows { get; }

    /// <summary>[K] I32: those next tokens.</summary>
    public Tensor LossTargets { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tokens.Dispose();
        LossRows.Dispose();
        LossTargets.Dispose();
    }
}
