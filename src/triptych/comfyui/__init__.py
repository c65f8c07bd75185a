"""Pages and skills as workflows of ComfyUI, made of its own nodes alone."""

from triptych.comfyui.graph import Graph, Output
from triptych.comfyui.workflow import LoRA, page_pictures, page_workflow, skill_workflow, skill_workflow_file

__all__ = ["Graph", "LoRA", "Output", "page_pictures", "page_workflow", "skill_workflow", "skill_workflow_file"]
