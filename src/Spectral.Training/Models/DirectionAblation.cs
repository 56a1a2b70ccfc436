using System.Globalization;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Models;

/// <summary>
/// Directions that training takes out of the hidden states after some blocks, h ← h − V Vᵀ h, so that nothing is
/// learned through them. Evaluation and generation do not take them out. Casademunt et al., "Steering
/// Out-of-Distribution Generalization with Concept Ablation Fine-Tuning", 2025, arXiv 2507.16795.
/// </summary>
/// <remarks>
/// It is in effect while it is a model's <see cref="CausalLanguageModel.Ablation"/> and the tape records. In a BF16
/// model, V and what remains of h are rounded to BF16.
/// </remarks>
public sealed class DirectionAblation : IDisposable
{
    private const string Layers = "layers.";

    private readonly Dictionary<int, Tensor> _directions;

    private DirectionAblation(Dictionary<int, Tensor> directions) => _directions = directions;

    /// <summary>The numbers of the blocks after which directions are taken out, from 0.</summary>
    public IReadOnlyCollection<int> Blocks => _directions.Keys;

    /// <summary>Reads directions from a safetensors file and makes them orthonormal.</summary>
    /// <param name="path">
    /// The file: for each block a tensor [k, hidden] or [hidden], named like the block (<c>model.layers.3</c>). Rows in
    /// the span of those before them add nothing.
    /// </param>
    /// <param name="model">The model whose hidden states are meant.</param>
    /// <exception cref="InputException">
    /// A tensor is not named like a block of the model, has another width, holds a value that is not finite, or has
    /// zeros only.
    /// </exception>
    public static DirectionAblation Load(string path, CausalLanguageModel model)
    {
        using var file = SafetensorsFile.Open(path);
        var directions = new Dictionary<int, Tensor>();
        try
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
            {
                int block = BlockOf(tensor, model.Config.Layers);
                HostMatrix rows = Orthonormal(tensor, model.Config.HiddenSize);
                using var wide = Tensor.From(model.Device, rows.ToFloats(), (rows.Rows, rows.Columns));
                var values = Tensor.Empty(model.Device, wide.Shape, model.DType);
                Cast.Run(wide, values);
                if (directions.TryAdd(block, values))
                    continue;
                values.Dispose();
                throw new InputException($"{path}: two tensors are for block {block}, expected one");
            }

            return directions.Count > 0
                ? new DirectionAblation(directions)
                : throw new InputException(
                    $"{path}: has no tensor, expected one for each block, such as model.layers.0"
                );
        }
        catch
        {
            foreach (Tensor values in directions.Values)
                values.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor values in _directions.Values)
            values.Dispose();
    }

    /// <summary>Returns the directions V [k, D] of a block; null: none are taken out after it.</summary>
    internal Tensor? Of(int block) => _directions.GetValueOrDefault(block);

    private static int BlockOf(SafetensorsTensor tensor, int blocks)
    {
        int at = tensor.Name.IndexOf(Layers, StringComparison.Ordinal);
        bool isBlock = at == 0 || (at > 0 && tensor.Name[at - 1] == '.');
        return
            isBlock
            && int.TryParse(
                tensor.Name[(at + Layers.Length)..],
                NumberStyles.None,
                CultureInfo.InvariantCulture,
                out int i
            )
            && i < blocks
            ? i
            : throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)}: expected the name of a block of the model, "
                    + $"model.layers.0 to model.layers.{blocks - 1}"
            );
    }

    private static HostMatrix Orthonormal(SafetensorsTensor tensor, int width)
    {
        if (tensor.Shape.Count is not (1 or 2) || tensor.Shape[^1] != width)
        {
            throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is {InputText.Shape([.. tensor.Shape])}, "
                    + $"expected [k, {width}] or [{width}]"
            );
        }

        tensor.RequireFinite();
        double[] values = Array.ConvertAll(tensor.ToFloats(), value => (double)value);
        var basis = new OrthonormalBasis(width);
        for (int at = 0; at < values.Length; at += width)
            basis.Append(values.AsSpan(at, width));
        return basis.Count > 0
            ? basis.Rows
            : throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is zero, expected directions"
            );
    }
}
