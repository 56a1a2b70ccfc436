using Spectral.Kernels;

namespace Spectral.Training.Optim;

/// <summary>A tensor of an optimizer's state, as it is saved.</summary>
/// <param name="Name">The name, e.g. <c>first_moment.model.norm.weight</c>.</param>
/// <param name="Shape">The shape.</param>
/// <param name="Type">The type of the elements.</param>
/// <param name="Open">Returns a handle to the tensor, which the caller disposes.</param>
internal sealed record StateTensor(string Name, Shape Shape, DType Type, Func<Tensor> Open)
{
    /// <summary>Returns whether the state has one F32 for each value of a parameter.</summary>
    public bool IsPerValueOf(Parameter parameter) =>
        Type == DType.F32 && Shape == parameter.Shape && Name.EndsWith($".{parameter.Name}", StringComparison.Ordinal);
}
