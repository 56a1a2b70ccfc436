using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>The base of tests of methods that train some entries of a weight.</summary>
public abstract class MaskTest(DeviceKind kind) : DataMethodTest(kind)
{
    private protected Dictionary<string, float[]> Gradients(Adapter adapter, string factor)
    {
        adapter.Parameters.EnableGradients();
        using BatchTensors tensors = new(Device, Batch.Create(TinyModels.Records(4, Model.Config, new Random(7)), 0));
        using Tape tape = new(Device);
        using Tensor loss = Model.Loss(tape, tensors, 1);
        tape.Backward();
        return adapter.Modules.ToDictionary(
            module => module.Shape.Name,
            module => module.Factors[factor].Gradient!.ToArray()
        );
    }

    private protected static double Nuclear(ModuleShape shape, int[] places, double[] values)
    {
        var change = new Dense(shape.Out, shape.In);
        for (int k = 0; k < places.Length; k++)
            change[places[k] / shape.In, places[k] % shape.In] = values[k];
        return JacobiSvd.Of(change).Values.Sum();
    }

    private protected sealed class AtSteps(Action note, Action evaluated) : ITrainerCallback
    {
        public void OnStepEnd(int step, bool isLast) => note();

        public void OnEvaluation(int step, EvaluationResult result) => evaluated();
    }

    private protected Dense Base(AdaptedModule module) =>
        Dense.Of(
            module.Shape.Out,
            module.Shape.In,
            Array.ConvertAll(Model.ParameterOf($"{module.Shape.Name}.weight").Value.ToArray(), value => (double)value)
        );

    private protected static int[] Places(AdaptedModule module) => module.Form.Entries[0].Index.ToInt32Array();

    private protected static string Parent(string name) => name[..name.LastIndexOf('.')];

    /// <summary>The channels that a factor of ones and zeros picks.</summary>
    private protected static int[] Selected(AdaptedModule module, string factor, int count, bool asRows)
    {
        Tensor selector = module.Factors[factor].Master;
        float[] values = selector.ToArray();
        int columns = selector.Dim(1);
        Assert.That(values.Count(value => value == 1), Is.EqualTo(count));
        Assert.That(values.Count(value => value == 0), Is.EqualTo(values.Length - count));
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                    asRows
                        ? Array.IndexOf(values, 1, i * columns, columns) - i * columns
                        : Enumerable.Range(0, selector.Dim(0)).Single(row => values[row * columns + i] == 1)
                ),
        ];
    }
}
