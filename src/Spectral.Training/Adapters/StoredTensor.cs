using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters;

/// <summary>
/// A tensor of an adapter's file and the factor behind it. For a <see cref="AdapterBuilder.Residual"/>, files that
/// readers of plain LoRA load hold value and start in one tensor of twice the rank: R above its start, and L beside its
/// negated start.
/// </summary>
internal sealed class StoredTensor
{
    private readonly Factor _factor;
    private readonly Factor? _start;
    private readonly bool _isLeft;

    /// <summary>Creates a tensor that is one factor.</summary>
    public StoredTensor(Factor factor) =>
        (_factor, Shape) = (factor, factor.PlacesIn is null ? factor.Shape : (2, factor.Shape[0]));

    /// <summary>Creates a tensor of a factor and its start values.</summary>
    public StoredTensor(Factor factor, Factor start, bool isLeft)
    {
        (_factor, _start, _isLeft) = (factor, start, isLeft);
        Shape = isLeft ? (factor.Shape[0], 2 * factor.Shape[1]) : (2 * factor.Shape[0], factor.Shape[1]);
    }

    /// <summary>The name after the module's path, or for a shared tensor after <c>base_model</c>.</summary>
    public string Name => _factor.Name;

    /// <summary>The shape in the file.</summary>
    public Shape Shape { get; }

    /// <summary>Whether all modules share the tensor.</summary>
    public bool IsShared => _factor.IsShared;

    /// <summary>Whether a file may omit the tensor because its values follow from the settings.</summary>
    public bool MayBeAbsent => _factor.Start.FollowsFromSettings;

    /// <summary>Whether the tensor holds places of the weight, and not numbers.</summary>
    public bool HoldsPlaces => _factor.PlacesIn is not null;

    /// <summary>Returns the tensor for a file. The values are read when it is written.</summary>
    /// <param name="name">The name in the file.</param>
    public TensorToWrite ToWrite(string name) =>
        _factor.PlacesIn is { } matrix
            ? TensorToWrite.Integers(
                name,
                Shape.Dimensions(),
                () => EntryPlaces.Split(_factor.Parameter.Master.ToInt32Array(), matrix)
            )
            : TensorToWrite.Floats(name, StoredType.F32, Shape.Dimensions(), Read);

    /// <summary>Reads the values as the file has them.</summary>
    public float[] Read()
    {
        float[] values = _factor.Parameter.Master.ToArray();
        if (_start is null)
            return values;
        float[] start = _start.Parameter.Master.ToArray();
        if (!_isLeft)
            return [.. values, .. start];
        int columns = _factor.Shape[1];
        float[] both = new float[2 * values.Length];
        for (int row = 0; row < _factor.Shape[0]; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                both[2 * row * columns + column] = values[row * columns + column];
                both[(2 * row + 1) * columns + column] = -start[row * columns + column];
            }
        }

        return both;
    }

    /// <summary>Fills in the values that a file omits.</summary>
    public void Begin(AdaptedModule module) =>
        _factor.Start.Fill(_factor.Parameter.Master, module.Options.Seed, RandomStream.For(module.FullName(_factor)));

    /// <summary>Writes values from a file to the factors.</summary>
    /// <exception cref="InputException">Places are outside the weight, or two of them are the same.</exception>
    public void Write(AdapterTensor tensor)
    {
        if (_factor.PlacesIn is { } matrix)
            _factor.Parameter.Master.CopyFrom(EntryPlaces.Read(tensor, matrix));
        else
            Write(tensor.ToFloats());
    }

    private void Write(float[] values)
    {
        if (_start is null)
        {
            _factor.Parameter.Master.CopyFrom(values);
            return;
        }
        int half = values.Length / 2;
        if (!_isLeft)
        {
            _factor.Parameter.Master.CopyFrom(values[..half]);
            _start.Parameter.Master.CopyFrom(values[half..]);
            return;
        }
        int columns = _factor.Shape[1];
        float[] value = new float[half];
        float[] start = new float[half];
        for (int i = 0; i < half; i++)
        {
            (int row, int column) = (i / columns, i % columns);
            value[i] = values[2 * row * columns + column];
            start[i] = -values[(2 * row + 1) * columns + column];
        }
        _factor.Parameter.Master.CopyFrom(value);
        _start.Parameter.Master.CopyFrom(start);
    }
}
