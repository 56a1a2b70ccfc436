using Spectral.Kernels;
using Spectral.Training.Calibration;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Compression;

/// <summary>
/// The products XᵀX of the inputs X [tokens, in] that the linear layers of the tuned model have on the records of a
/// run, one layer after the other.
/// </summary>
internal sealed class LayerInputs : IDisposable
{
    private readonly CausalLanguageModel _tuned;
    private readonly IEnumerator<Tensor> _products;
    private readonly Queue<string> _ahead;

    /// <summary>Loads the tuned model.</summary>
    public LayerInputs(CompressionRun run, ChangeOfBase change)
    {
        _tuned = change.Tuned();
        string[] layers = [.. _tuned.Linears.Select(linear => linear.Name)];
        _ahead = new Queue<string>(layers);
        var calibration = new ModelCalibration(_tuned, run.Options.Data, run.Options.Batch);
        _products = calibration.InputProducts(layers).GetEnumerator();
    }

    /// <summary>
    /// Returns the product [in, in] of a layer, which comes after those asked for before. The caller disposes it.
    /// </summary>
    /// <exception cref="InputException">The inputs are not finite.</exception>
    public Tensor ProductOf(LinearSpec layer)
    {
        while (_ahead.Dequeue() != layer.Name)
            Next().Dispose();
        Tensor product = Next();
        if (FiniteValues.FirstNonFinite(product.ToArray()) < 0)
            return product;
        product.Dispose();
        throw new InputException(
            $"the inputs of {layer.Name} in the tuned model are not finite on the calibration records"
        );
    }

    private Tensor Next()
    {
        _products.MoveNext();
        return _products.Current;
    }

    public void Dispose()
    {
        _products.Dispose();
        _tuned.Dispose();
    }
}
