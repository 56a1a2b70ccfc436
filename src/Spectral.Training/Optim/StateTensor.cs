using Spectral.Kernels;

namespace Spectral.Training.Optim;

/// <summary>A tensor of an optimizer's state, as it is saved.</summary>
/// <param name="Name">The name, e.g. <c>first_moment.model.norm.weight</c>.</param>
/// <param name="Shape">The shape.</param>
/// <param name="Type">The type of the elements.</param>
/// <param name="Open">Returns a handle to the tensor, which the caller disposes.</param>
internal sealed record StateTensor(string Name, Shape Shape, DType Type, Func<Tensor> Open);
