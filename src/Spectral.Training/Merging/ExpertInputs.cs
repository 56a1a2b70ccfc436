using Spectral.Kernels;
using Spectral.Training.Calibration;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Merging;

/// <summary>
/// The products A_i = X_iᵀ X_i of the inputs X_i [tokens, in] that linear layers have in each expert, run on its own
/// records.
/// </summary>
/// <remarks>
/// All products of an 8B model take 32 GB for each expert, so that they are in temporary files until a tensor needs
/// them. One expert at a time is on the device.
/// </remarks>
internal sealed class ExpertInputs : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("spectral-merge-").FullName;
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, string> _readers = [];

    /// <summary>Runs every expert on the records of its number.</summary>
    /// <exception cref="InputException">An expert's activations are not finite.</exception>
    public ExpertInputs(MergeRun run)
    {
        try
        {
            for (int input = 0; input < run.Inputs; input++)
            {
                using CausalLanguageModel expert = run.Expert(input);
                if (input == 0)
                    FindReaders(run, expert);
                Measure(run, expert, input);
                run.Cancellation.ThrowIfCancellationRequested();
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>
    /// Returns whether there are products for a tensor: it is the weight of a linear layer, or of a norm before one.
    /// </summary>
    public bool Has(string tensor) => _readers.ContainsKey(tensor);

    /// <summary>
    /// Reads A_i [in, in] of the layer whose weight a tensor is, or of the layers that read the norm whose weight it
    /// is.
    /// </summary>
    public HostMatrix Product(string tensor, int input)
    {
        SafetensorsTensor stored = _files[input].Tensors[_readers[tensor]];
        int size = (int)stored.Shape[0];
        return HostMatrix.From(stored.ToFloats(), size, size);
    }

    public void Dispose()
    {
        foreach (SafetensorsFile file in _files)
            file.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Names the first of the layers with the same input for each tensor that is merged.</summary>
    private void FindReaders(MergeRun run, CausalLanguageModel expert)
    {
        var first = expert.Linears.ToDictionary(linear => linear.Name, linear => linear.Siblings.Layers[0].Name);
        foreach (Linear linear in expert.Linears)
            _readers[linear.Weight.Name] = first[linear.Name];
        for (int layer = 0; layer < run.Config.Layers; layer++)
        {
            foreach ((string norm, string reader) in run.Config.Family.NormReaders(run.Config, layer))
                _readers[norm] = first[reader];
        }
        foreach (string unused in _readers.Keys.Where(name => !run.IsMerged(name)).ToArray())
            _readers.Remove(unused);
    }

    private void Measure(MergeRun run, CausalLanguageModel expert, int input)
    {
        // In the order in which the file is written.
        string[] modules = [.. _readers.Values.Distinct().Order(StringComparer.Ordinal)];
        var calibration = new ModelCalibration(expert, run.Options.Data[input], run.Options.Batch);
        using IEnumerator<Tensor> products = calibration.InputProducts(modules).GetEnumerator();
        string path = Path.Combine(_folder, $"{input}.safetensors");
        var sizes = expert.Linears.ToDictionary(linear => linear.Name, linear => linear.In);
        SafetensorsWriter.Write(path, [.. modules.Select(Next)]);
        _files.Add(SafetensorsFile.Open(path));

        TensorToWrite Next(string module) =>
            TensorToWrite.Floats(
                module,
                StoredType.F32,
                [sizes[module], sizes[module]],
                () =>
                {
                    products.MoveNext();
                    using Tensor product = products.Current;
                    float[] values = product.ToArray();
                    return FiniteValues.FirstNonFinite(values) is >= 0
                        ? throw new InputException(
                            $"{run.DirectoryOf(input)}: the inputs of {module} are not finite on the records of this "
                                + "input"
                        )
                        : values;
                }
            );
    }
}
