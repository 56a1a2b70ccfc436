using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// A frozen tensor of the base model, F32. If the model computes in another type, or the tensor is quantised or divided
/// between ranks, it is converted or copied when it is read.
/// </summary>
internal sealed class BaseTensor(Shape shape) : Expression(shape)
{
    private Parameter? _source;

    public Parameter Source
    {
        get =>
            _source ?? throw new InvalidOperationException("the form is described only, and not attached to a model");
        set => _source = value;
    }

    internal override bool IsStored => Source is { IsQuantized: false, IsSharded: false, DType: DType.F32 };

    private protected override Device Device => Source.Device;

    internal override void Forget()
    {
        if (_source is not null && !IsStored)
            base.Forget();
    }

    private protected override Tensor Compute() => IsStored ? Source.Value : base.Compute();

    protected override void Evaluate(Tensor value)
    {
        using Tensor source = Source.Dense();
        Cast.Run(source, value);
    }

    protected override void Backward(Tensor gradient) { }
}
