using System.Numerics.Tensors;

namespace Spectral.Training.Merging;

/// <summary>
/// Coefficients of inputs that change any weights: dλ_i,t = ⟨G_t, τ_i,t⟩ with the gradient G_t of the whole tensor. All
/// weights of the model have gradients, and every step reads the inputs twice, once to set the weights and once for
/// the products.
/// </summary>
internal sealed class DenseCoefficients(MergeRun run) : CoefficientModel
{
    private readonly MergeTraining _training = new(run);
    private bool _isSet = true; // the base, which is the sum with coefficients of 0

    public override IReadOnlyDictionary<string, float[]> Slopes(IReadOnlyDictionary<string, float[]> coefficients)
    {
        if (!_isSet)
        {
            _training.Set(tensor =>
            {
                double[] own = Array.ConvertAll(coefficients[tensor.Name], value => (double)value);
                return tensor.Whole((piece, part) => WeightedSum.Add(piece, own, part));
            });
        }
        _isSet = false;
        _training.Differentiate(ofEntropy: false);
        Dictionary<string, float[]> slopes = [];
        run.Scan(tensor => slopes[tensor.Name] = Products(tensor, _training.Gradient(tensor.Name)));
        return slopes;
    }

    public override void Dispose() => _training.Dispose();

    /// <summary>Returns the product of a tensor's gradient with the change of each input.</summary>
    private static float[] Products(MergeTensor tensor, float[] gradient)
    {
        double[] products = tensor.Sum(
            tensor.Inputs,
            (piece, sums) =>
            {
                ReadOnlySpan<float> own = gradient.AsSpan((int)piece.Start, piece.Length);
                for (int i = 0; i < sums.Length; i++)
                    sums[i] = TensorPrimitives.Dot(own, piece.Change(i));
            }
        );
        return Array.ConvertAll(products, value => (float)value);
    }
}
